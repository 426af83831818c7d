insert into chain.alert (chain_id, contract, block_number, expected_hash, found_hash, what)
values ($1, $2, $3, $4, $5, $6)
