select s.index, s.name, s.kind, s.state::text as "state!", p.name as pool, s.dependents, s.sequence,
       s.tasks_total, s.tasks_open, s.tasks_failed, s.error, s.started_at, s.finished_at
from queue.step s join queue.pool p on p.id = s.pool
where s.run_id = $1
order by s.index
