update schedule.schedule set error = $2, error_at = clock_timestamp() where pipeline = $1 and error is distinct from $2
