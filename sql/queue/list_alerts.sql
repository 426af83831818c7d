-- Alerts, the newest first; of one run where one is given.
select a.id, a.run_id, r.pipeline, r.state::text as "state!", a.kind, a.due_at, a.raised_at, a.cancelled, a.hook_pipeline,
       a.hook_run, a.hook_error, r.finished_at
from queue.alert a join queue.run r on r.id = a.run_id
where ($1::uuid is null or a.run_id = $1) and ($2::text is null or r.pipeline = $2)
order by a.id desc
limit $3
