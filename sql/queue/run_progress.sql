-- Steps and tasks of a run and its sub-runs, for progress displays.
with recursive runs as (
    select r.id from queue.run r where r.id = $1
    union all
    select c.id from runs p join queue.task t on t.run_id = p.id join queue.run c on c.parent_task = t.id
)
select count(*) as "tasks!", count(*) filter (where t.finished_at is not null) as "tasks_done!",
       (select string_agg(distinct s.name, ', ') from queue.step s join runs r on r.id = s.run_id
        where s.state in ('running', 'expanding') and s.kind <> 'pipeline') as "running"
from queue.task t join runs r on r.id = t.run_id
where t.index >= 0
