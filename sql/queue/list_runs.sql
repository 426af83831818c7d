select r.id, r.pipeline, r.state::text as "state!", r.trigger, r.logical_date, r.created_at, r.finished_at, r.dedup_key,
       (select count(*) from queue.step s where s.run_id = r.id) as "steps!",
       r.open_steps, r.failed_steps, r.parent_task
from queue.run r
where ($1::text is null or r.pipeline = $1) and ($2::text is null or r.state::text = $2)
  and ($3 or r.parent_task is null)
  and not exists (select 1 from queue.archived_run a where a.run_id = r.id)
  and ($5::uuid is null or (r.created_at, r.id) < (select b.created_at, b.id from queue.run b where b.id = $5))
order by r.created_at desc, r.id desc
limit $4
