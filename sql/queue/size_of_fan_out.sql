-- How many outputs a fan-out has; null where it was skipped.
select case when s.state <> 'skipped' then s.tasks_total end as length
from queue.step s where s.run_id = $1 and s.name = $2
