select r.id as "id!" from queue.run r where r.pipeline = $1 and r.dedup_key = $2
union
select a.run_id from queue.archived_run a where a.pipeline = $1 and a.dedup_key = $2
