-- When the run is to have ended: so long after the time of its fire or, without one, its start.
insert into queue.deadline (run_id, due_at, cancels, hook)
select r.id, coalesce(r.fire_time, r.created_at) + $2 * interval '1 millisecond', $3, $4
from queue.run r where r.id = $1
