with claimed as materialized (
    select c.task_id, c.attempt_id, c.priority, c.seq from queue.claim($1, $2, $3, $4) c
)
select c.task_id as "task_id!", c.attempt_id as "attempt_id!", c.priority as "priority!", c.seq as "seq!",
       t.run_id, r.pipeline, r.version_id, r.logical_date, t.step, s.name as step_name, s.kind, t.index,
       t.arguments, t.attempts, t.crashes, s.attempts_max, s.timeout_ms
from claimed c
join queue.task t on t.id = c.task_id
join queue.step s on s.run_id = t.run_id and s.index = t.step
join queue.run r on r.id = t.run_id
order by c.priority, c.seq
