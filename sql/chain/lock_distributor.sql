select first_block from chain.distributor for update
