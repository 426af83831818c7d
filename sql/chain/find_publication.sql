select root from chain.publication where chain_id = $1 and contract = $2 and day = $3
