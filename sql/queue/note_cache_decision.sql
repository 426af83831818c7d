insert into queue.cache_decision (task_id, is_hit, reason, from_run, from_task) values ($1, $2, $3, $4, $5)
on conflict (task_id) do update set
    is_hit = excluded.is_hit, reason = excluded.reason, from_run = excluded.from_run, from_task = excluded.from_task
