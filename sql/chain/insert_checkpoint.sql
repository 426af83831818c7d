insert into chain.checkpoint (chain_id, contract, block_number, block_hash) values ($1, $2, $3, $4)
on conflict (chain_id, contract, block_number) do nothing
