insert into chain.attempt (transaction_hash, submission_id, max_fee, priority_fee, signed)
values ($1, $2, $3::text::numeric, $4::text::numeric, $5)
on conflict (transaction_hash) do nothing
