delete from chain.checkpoint where chain_id = $1 and contract = $2 and block_number = $3
