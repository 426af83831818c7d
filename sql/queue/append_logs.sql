-- Storing a line again, because the answer was lost, changes nothing.
insert into queue.log (run_id, task_id, attempt_id, attempt_number, seq, logged_at, line)
select u.run_id, u.task_id, u.attempt_id, u.attempt_number, u.seq, u.logged_at, u.line
from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::smallint[], $5::bigint[], $6::timestamptz[], $7::text[])
    u (run_id, task_id, attempt_id, attempt_number, seq, logged_at, line)
on conflict (run_id, attempt_id, seq) do nothing
