-- Up to $1 lines of attempts whose log, or whose run, is an object; those included that came too late for it.
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
delete from queue.log d
where d.ctid = any (array(
    select l.ctid
    from hot h
    join queue.log l on l.run_id = h.run_id and l.attempt_id = h.attempt_id
    where exists (select 1 from queue.attempt_log a where a.attempt_id = h.attempt_id)
       or exists (select 1 from queue.archived_run a where a.run_id = h.run_id)
    limit $1 for update of l skip locked))
