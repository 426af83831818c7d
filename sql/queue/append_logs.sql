insert into queue.log (run_id, task_id, attempt_id, logged_at, line)
select u.run_id, u.task_id, u.attempt_id, u.logged_at, u.line
from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::text[])
    u (run_id, task_id, attempt_id, logged_at, line)
