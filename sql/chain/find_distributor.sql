select chain_id, contract, first_block from chain.distributor
