update treasury.withdrawal set state = 'paid', ended_day = $2, journal_id = $3 where id = any($1::bigint[])
