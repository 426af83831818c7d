select d.task_id, t.step, t.index, d.is_hit, d.reason, d.from_run, d.from_task
from queue.task t join queue.cache_decision d on d.task_id = t.id
where t.run_id = $1
order by t.step, t.index
limit $2
