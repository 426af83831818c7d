select a.task_id, a.run_id, r.pipeline, s.name as step, t.index, a.prompt, a.requested_at, a.due_at
from queue.approval a
join queue.task t on t.id = a.task_id
join queue.step s on s.run_id = a.run_id and s.index = a.step
join queue.run r on r.id = a.run_id
where a.decision is null and ($1::uuid is null or a.run_id = $1)
order by a.requested_at, a.task_id
