select c.pipeline, c.step, c.key, c.kind, c.kind_version, c.run_id, c.task_id, c.created_at,
       jsonb_array_length(c.artifacts) as "artifacts!", coalesce(length(c.outputs::text), 0) as "outputs_bytes!"
from queue.cached_result c
where ($1::text is null or c.pipeline = $1) and ($2::text is null or c.step = $2)
order by c.pipeline, c.step, c.created_at desc
limit $3
