-- Open steps whose tasks ask for resources: of one run, or of all that have not ended.
select s.run_id, r.pipeline, s.name as step, b.name as pool, l.cpu_millis, l.memory_bytes, l.gpus, l.labels
from queue.lane l
join queue.pool b on b.id = l.pool
join queue.step s on s.pool = l.id and s.finished_at is null
join queue.run r on r.id = s.run_id and r.finished_at is null
where $1::uuid is null or s.run_id = $1
order by s.run_id, s.index
limit 10000
