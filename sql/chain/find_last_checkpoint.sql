select block_number, block_hash from chain.checkpoint
where chain_id = $1 and contract = $2
order by block_number desc
limit 1
