update schedule.backfill set
    next_fire = $2, started = $3, known = $4, failed = $5, open_runs = $6,
    finished_at = case when $7 then clock_timestamp() end
where id = $1
