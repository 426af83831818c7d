-- The sub-runs of a run's step, in the order of its items.
select c.id, t.index, c.state::text as "state!", c.outputs
from queue.task t
join queue.step s on s.run_id = t.run_id and s.index = t.step
join queue.run c on c.parent_task = t.id
where t.run_id = $1 and s.name = $2
order by t.index
