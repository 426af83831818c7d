update treasury.withdrawal set state = 'cancelled', ended_day = $2, journal_id = $3 where id = $1
