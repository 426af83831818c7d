select a.task_id, a.attempt_id, a.worker_id, a.started_at, a.ended_at, a.outcome::text as "outcome!", a.error, a.class
from queue.attempt a join queue.task t on t.id = a.task_id
where t.run_id = $1 and t.index >= 0
order by a.started_at, a.attempt_id
limit $2
