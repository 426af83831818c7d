insert into chain.publication (chain_id, contract, day, root, end_time, token, total)
values ($1, $2, $3, $4, $5, $6, $7::text::numeric)
on conflict (chain_id, contract, day) do nothing
