update schedule.schedule set paused_at = coalesce(paused_at, clock_timestamp()) where pipeline = $1
