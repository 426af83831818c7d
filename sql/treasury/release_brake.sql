update treasury.brake
set released_at = now(), release_reason = $2, released_by = $3
where day = $1 and released_at is null
