-- The errors of a run: of steps that could not be expanded, and of tasks that failed for good.
select f.step as "step!", f.index, f.error as "error!"
from (
    select s.name as step, null::integer as index, s.error, s.finished_at
    from queue.step s where s.run_id = $1 and s.error is not null
    union all
    select s.name, t.index, coalesce(t.error, 'no message'), t.finished_at
    from queue.task t join queue.step s on s.run_id = t.run_id and s.index = t.step
    where t.run_id = $1 and t.state = 'failed'
) f
order by f.finished_at, f.step, f.index limit $2
