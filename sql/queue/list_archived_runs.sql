select a.run_id, a.pipeline, a.state, a.trigger, a.logical_date, a.steps, a.failed_steps, a.created_at, a.finished_at,
       a.digest, a.size_bytes, a.archived_at
from queue.archived_run a
where ($1::text is null or a.pipeline = $1) and ($2::text is null or a.state = $2)
  and ($3 or not a.is_sub_run)
order by a.created_at desc, a.run_id desc
limit $4
