-- Attempts of a run and its sub-runs with lines that the reader has not had: archived ones that are not in $4, and hot
-- ones with lines after those that $2 and $3 name; of one step, one index and one attempt where $5, $6 and $7 say so.
with recursive runs as (
    select r.id from queue.run r where r.id = $1
    union all
    select c.id
    from runs p
    join queue.step s on s.run_id = p.id and s.kind = 'pipeline'
    join queue.task t on t.run_id = s.run_id and t.step = s.index
    join queue.run c on c.parent_task = t.id
), hot as (
    -- from one attempt to the next, however many lines each has
    select r.id as run_id, (select min(l.attempt_id) from queue.log l where l.run_id = r.id) as attempt_id
    from runs r
    union all
    select h.run_id,
           (select min(l.attempt_id) from queue.log l where l.run_id = h.run_id and l.attempt_id > h.attempt_id)
    from hot h where h.attempt_id is not null
), found as (
    select a.run_id, a.task_id, a.attempt_id, a.attempt_number, a.step, a.index, a.digest, a.size_bytes, a.first_at as starts_at
    from runs r join queue.attempt_log a on a.run_id = r.id
    where not exists (select 1 from unnest($4::bigint[]) f (attempt_id) where f.attempt_id = a.attempt_id)
    union all
    select h.run_id, n.task_id, h.attempt_id, n.attempt_number, s.name, t.index, null, null, n.logged_at
    from hot h
    left join unnest($2::bigint[], $3::bigint[]) k (attempt_id, seq) on k.attempt_id = h.attempt_id
    cross join lateral (
        select l.task_id, l.attempt_number, l.logged_at from queue.log l
        where l.run_id = h.run_id and l.attempt_id = h.attempt_id and l.seq > coalesce(k.seq, -1)
        order by l.seq limit 1
    ) n
    join queue.task t on t.id = n.task_id
    join queue.step s on s.run_id = t.run_id and s.index = t.step
    where h.attempt_id is not null
      and not exists (select 1 from queue.attempt_log a where a.attempt_id = h.attempt_id)
)
select f.run_id as "run_id!", f.task_id as "task_id!", f.attempt_id as "attempt_id!",
       f.attempt_number as "attempt_number!", f.step as "step!", f.index as "index!", f.digest, f.size_bytes,
       f.starts_at as "starts_at!"
from found f
where ($5::text is null or f.step = $5)
  and ($6::integer is null or f.index = $6)
  and ($7::smallint is null or f.attempt_number = $7)
