-- Nothing is inserted when the deduplication key or the parent task already has its run, archived ones included.
insert into queue.run (
    id, version_id, pipeline, params, dedup_key, logical_date, priority, trigger, parent_task, open_steps,
    tenant, reason, fire_time)
select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13
where $5::text is null
   or not exists (select 1 from queue.archived_run a where a.pipeline = $3 and a.dedup_key = $5)
on conflict do nothing
returning id
