update schedule.seen_object set run_id = null, error = $5
where pipeline = $1 and prefix = $2 and path = $3 and version = $4
