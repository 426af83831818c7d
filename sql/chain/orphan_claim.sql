update chain.claim
set is_orphaned = true, times_orphaned = times_orphaned + 1, journal_id = null
where chain_id = $1 and block_hash = $2 and transaction_hash = $3 and log_index = $4
