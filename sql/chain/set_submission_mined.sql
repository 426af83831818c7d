update chain.submission
set state = $2, transaction_hash = $3, block_number = $4, block_hash = $5, mined_at = now()
where id = $1 and state in ('recorded', 'sent')
