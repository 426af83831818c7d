insert into chain.submission (chain_id, contract, day, action, sender, nonce)
values ($1, $2, $3, $4, $5, $6)
on conflict do nothing
returning id
