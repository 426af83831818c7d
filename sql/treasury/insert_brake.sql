insert into treasury.brake (day, reason, actor) values ($1, $2, $3)
on conflict (day) where released_at is null do nothing
