-- Nothing is inserted when the deduplication key or the parent task already has its run.
insert into queue.run (
    id, version_id, pipeline, params, dedup_key, logical_date, priority, trigger, parent_task, open_steps,
    tenant, reason, fire_time)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
on conflict do nothing
returning id
