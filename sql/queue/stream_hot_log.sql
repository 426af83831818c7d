select l.task_id, l.attempt_number, l.seq, l.logged_at, l.line
from queue.log l
where l.run_id = $1 and l.attempt_id = $2
order by l.seq
