-- Only while the attempt's lines are still those that the object holds.
insert into queue.attempt_log (
    attempt_id, attempt_number, run_id, task_id, step, index, digest, size_bytes, lines, text_bytes, left_out_bytes,
    first_at, last_at)
select $1, $2, $3, $4, coalesce(s.name, '?'), coalesce(t.index, -1), $5, $6, $7, $8, $9, $10, $11
from (values (1)) one (n)
left join queue.task t on t.id = $4
left join queue.step s on s.run_id = t.run_id and s.index = t.step
where $7 = (select count(*) from queue.log l where l.run_id = $3 and l.attempt_id = $1)
on conflict (attempt_id) do nothing
