insert into queue.cached_result (
    pipeline, step, key, kind, kind_version, inputs, outputs, artifacts, run_id, task_id)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (pipeline, step, key) do update set
    outputs = excluded.outputs, artifacts = excluded.artifacts, run_id = excluded.run_id,
    task_id = excluded.task_id, created_at = clock_timestamp()
