insert into queue.task (run_id, step, index, state, arguments, limit_key)
select $1, u.step, u.index, 'blocked', u.arguments, u.limit_key
from unnest($2::smallint[], $3::integer[], $4::jsonb[], $5::text[]) u (step, index, arguments, limit_key)
