select w.id, p.name as pool, w.host, w.pid, w.slots, w.started_at, w.last_seen, u.running as "running!",
       w.cpu_millis, w.memory_bytes, w.gpus, w.labels,
       u.cpu_millis as "used_cpu_millis!", u.memory_bytes as "used_memory_bytes!", u.gpus as "used_gpus!"
from queue.worker w join queue.pool p on p.id = w.pool
cross join lateral (
    select count(*) as running, coalesce(sum(d.cpu_millis), 0)::int as cpu_millis,
           coalesce(sum(d.memory_bytes), 0)::bigint as memory_bytes, coalesce(sum(d.gpus), 0)::int as gpus
    from queue.lease l left join queue.lane d on d.id = l.lane where l.worker_id = w.id
) u
order by p.name, w.started_at
