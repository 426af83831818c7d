select day from chain.publication where chain_id = $1 and contract = $2 order by day desc limit 3
