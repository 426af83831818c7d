insert into chain.distributor (chain_id, contract, first_block) values ($1, $2, $3) on conflict do nothing
