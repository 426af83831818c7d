select t.id, t.step, t.index, t.attempts, t.crashes, t.error, t.outputs, t.finished_at,
       l.claimed_at as "leased_at?", l.worker_id as "leased_by?",
       (select min(a.started_at) from queue.attempt a where a.task_id = t.id) as started_at,
       c.id as "child_run?",
       -- tasks that were planned with the run do not change when their step opens
       case when t.state = 'blocked' and s.state = 'running' then 'queued' else t.state::text end as "state!"
from queue.task t
join queue.step s on s.run_id = t.run_id and s.index = t.step
left join queue.lease l on l.task_id = t.id
left join queue.run c on c.parent_task = t.id
where t.run_id = $1 and t.index >= 0
order by t.step, t.index
limit $2
