update schedule.schedule set paused_at = null, next_fire = $2 where pipeline = $1
