update treasury.epoch
set state = 'posted', journal_id = $2, chain_head = $3, checked_digest = $4, posted_at = now()
where day = $1 and state = 'computed'
