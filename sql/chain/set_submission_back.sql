update chain.submission
set state = 'sent', transaction_hash = null, block_number = null, block_hash = null, mined_at = null, final_at = null,
    reorganised = reorganised + 1
where id = $1 and state in ('mined', 'final') and block_hash = $2
