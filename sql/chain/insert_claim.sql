insert into chain.claim (
    chain_id, block_hash, transaction_hash, log_index, contract, block_number, account, token, amount, cumulative
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::numeric, $10::text::numeric)
on conflict (chain_id, block_hash, transaction_hash, log_index) do update set is_orphaned = false
where claim.is_orphaned
