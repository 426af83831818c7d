update schedule.fire set run_id = null, error = $3 where pipeline = $1 and fire_at = $2
