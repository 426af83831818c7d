insert into schedule.schedule (pipeline, version_id, definition, next_fire) values ($1, $2, $3, $4)
on conflict (pipeline) do update set
    version_id = excluded.version_id, definition = excluded.definition, next_fire = excluded.next_fire,
    error = null, error_at = null, applied_at = clock_timestamp()
