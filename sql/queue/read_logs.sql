-- A run's log lines after $2, those of its sub-runs included.
with recursive runs as (
    select r.id from queue.run r where r.id = $1
    union all
    select c.id from runs p join queue.task t on t.run_id = p.id join queue.run c on c.parent_task = t.id
)
select l.id, l.run_id, l.task_id, s.name as step, t.index, l.attempt_id, l.logged_at, l.line
from runs r
join queue.log l on l.run_id = r.id
join queue.task t on t.id = l.task_id
join queue.step s on s.run_id = t.run_id and s.index = t.step
where l.id > $2 and ($3::text is null or s.name = $3)
order by l.id
limit $4
