update schedule.trigger set error = $3, error_at = case when $3::text is not null then clock_timestamp() end
where pipeline = $1 and index = $2 and error is distinct from $3
