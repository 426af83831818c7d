-- $1 run
select id, run_id, task_id, attempt_id, name, media_type, digest, size_bytes, created_at
from storage.artifact
where run_id = $1
order by task_id, name
