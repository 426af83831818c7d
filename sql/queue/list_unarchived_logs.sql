-- Attempts that have lines, no object, and nobody who would make one: they ended $1 seconds ago or longer.
with recursive hot as (
    (select l.run_id, l.attempt_id from queue.log l order by l.run_id, l.attempt_id limit 1)
    union all
    select n.run_id, n.attempt_id
    from hot h
    cross join lateral (
        select l.run_id, l.attempt_id from queue.log l
        where (l.run_id, l.attempt_id) > (h.run_id, h.attempt_id)
        order by l.run_id, l.attempt_id limit 1
    ) n
)
select h.run_id as "run_id!", h.attempt_id as "attempt_id!"
from hot h
cross join lateral (
    select l.task_id from queue.log l where l.run_id = h.run_id and l.attempt_id = h.attempt_id order by l.seq limit 1
) f
where not exists (select 1 from queue.attempt_log a where a.attempt_id = h.attempt_id)
  and not exists (select 1 from queue.archived_run a where a.run_id = h.run_id)
  and not exists (select 1 from queue.lease e where e.task_id = f.task_id and e.attempt_id = h.attempt_id)
  and not exists (
      select 1 from queue.attempt a
      where a.task_id = f.task_id and a.attempt_id = h.attempt_id
        and a.ended_at > clock_timestamp() - $1::double precision * interval '1 second')
limit $2
