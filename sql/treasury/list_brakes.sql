select day, reason, actor, held_at from treasury.brake where released_at is null order by day
