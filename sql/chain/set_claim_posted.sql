update chain.claim set journal_id = $5
where chain_id = $1 and block_hash = $2 and transaction_hash = $3 and log_index = $4
