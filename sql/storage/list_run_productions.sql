-- The first $2 attempts of a run that touched objects.
select p.attempt_id, p.task_id, p.run_id, p.pipeline, p.step, p.index, p.kind, p.is_cut, p.started_at, p.produced_at
from storage.production p
where p.run_id = $1
order by p.produced_at, p.attempt_id
limit $2
