-- Another deadline for a run: so long after its start; what then happens stays as it was.
insert into queue.deadline as d (run_id, due_at, cancels)
select r.id, r.created_at + $2 * interval '1 millisecond', false
from queue.run r where r.id = $1
on conflict (run_id) do update set due_at = excluded.due_at
