-- $1 run, $2 task, $3 attempt; $4 names, $5 media types, $6 digests, $7 sizes: one element for each artifact
insert into storage.artifact (run_id, task_id, attempt_id, name, media_type, digest, size_bytes)
select $1, $2, $3, artifact.name, artifact.media_type, artifact.digest, artifact.size_bytes
from unnest($4::text[], $5::text[], $6::bytea[], $7::bigint[]) as artifact (name, media_type, digest, size_bytes)
