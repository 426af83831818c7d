insert into queue.retention (pipeline, keep_seconds, keep_last) values ($1, $2, $3)
on conflict (pipeline) do update
set keep_seconds = excluded.keep_seconds, keep_last = excluded.keep_last, set_at = clock_timestamp()
