insert into queue.task (run_id, step, index, state, arguments)
select $1, u.step, u.index, 'blocked', u.arguments
from unnest($2::smallint[], $3::integer[], $4::jsonb[]) u (step, index, arguments)
