-- Compare-and-set: nothing is changed where another scheduler was first.
update schedule.schedule set
    next_fire = $3, last_fire = coalesce($4, last_fire), error = $5,
    error_at = case when $5::text is not null then clock_timestamp() end
where pipeline = $1 and next_fire = $2 and paused_at is null
