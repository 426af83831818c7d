select id from schedule.backfill
where pipeline = $1 and first_day = $2 and last_day = $3 and finished_at is null
