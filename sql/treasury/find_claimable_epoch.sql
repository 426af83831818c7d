select max(day) from treasury.epoch
where root is not null
    and day < coalesce((select min(day) from treasury.brake where released_at is null), 'infinity')
