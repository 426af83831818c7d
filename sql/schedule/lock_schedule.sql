select definition, next_fire, paused_at from schedule.schedule where pipeline = $1 for update
