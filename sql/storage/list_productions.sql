-- The latest $3 attempts that wrote ($2) or used (not $2) one of these objects.
select p.attempt_id, p.task_id, p.run_id, p.pipeline, p.step, p.index, p.kind, p.is_cut, p.started_at, p.produced_at
from storage.production p
where p.attempt_id in (
    select o.attempt_id from storage.touched_object o
    where o.digest = any ($1::bytea[]) and (o.role = 'written') = $2)
order by p.produced_at desc, p.attempt_id
limit $3
