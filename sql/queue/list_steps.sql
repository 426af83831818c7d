select s.index, s.name, s.kind, s.state::text as "state!",
       coalesce(b.name, p.name) as "pool!", s.dependents, s.sequence, s.tasks_total,
       s.tasks_open - t.ended as "tasks_open!", s.tasks_failed + t.failed as "tasks_failed!",
       s.error, s.started_at, s.finished_at
from queue.step s
join queue.pool p on p.id = s.pool
left join queue.lane l on l.id = s.pool
left join queue.pool b on b.id = l.pool
-- what has ended and is not counted off yet
cross join lateral (
    select coalesce(sum(t.ended), 0)::int as ended, coalesce(sum(t.failed), 0)::int as failed
    from queue.tally t where t.run_id = s.run_id and t.step = s.index
) t
where s.run_id = $1
order by s.index
