update treasury.epoch
set state = 'posted', journal_id = $2, posted_at = now()
where day = $1 and state = 'computed'
