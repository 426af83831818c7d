select day, reason, actor, held_at from treasury.hold where released_at is null order by day
