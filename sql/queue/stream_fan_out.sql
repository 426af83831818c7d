-- The outputs of a fan-out by index, from an index on; null for a task that failed.
select t.outputs
from queue.step s join queue.task t on t.run_id = s.run_id and t.step = s.index
where s.run_id = $1 and s.name = $2 and t.index >= $3
order by t.index
