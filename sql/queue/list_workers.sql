select w.id, p.name as pool, w.host, w.pid, w.slots, w.started_at, w.last_seen,
       (select count(*) from queue.lease l where l.worker_id = w.id) as "running!"
from queue.worker w join queue.pool p on p.id = w.pool
order by p.name, w.started_at
