-- The outputs of ended steps by name, one per task, by index; null for a task that failed.
select s.name, s.state = 'skipped' as "skipped!",
       (select jsonb_agg(t.outputs order by t.index) from queue.task t
        where t.run_id = s.run_id and t.step = s.index and t.index >= 0) as outputs
from queue.step s
where s.run_id = $1 and s.name = any ($2::text[])
