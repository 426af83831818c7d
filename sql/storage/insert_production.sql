-- $9 seconds since the attempt began; $10 roles, $11 digests, $12 names, $13 sizes: one element for each object
with production as (
    insert into storage.production (attempt_id, task_id, run_id, pipeline, step, index, kind, is_cut, started_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, now() - $9::double precision * interval '1 second')
)
insert into storage.touched_object (attempt_id, role, digest, name, size_bytes)
select $1, u.role::storage.object_role, u.digest, u.name, u.size_bytes
from unnest($10::text[], $11::bytea[], $12::text[], $13::bigint[]) u (role, digest, name, size_bytes)
