-- Up to $1 runs, the oldest of each pipeline first, that no policy keeps; with everything below them they have ended and
-- their logs are objects. Those in $2 are left out.
with policy as (
    select p.name, case when o.pipeline is null then a.keep_seconds else o.keep_seconds end as keep_seconds,
           case when o.pipeline is null then a.keep_last else o.keep_last end as keep_last
    from queue.pipeline p
    left join queue.retention o on o.pipeline = p.name
    left join queue.retention a on a.pipeline = '*'
), cut as (
    select p.name, p.keep_last, clock_timestamp() - p.keep_seconds * interval '1 second' as before
    from policy p where p.keep_seconds is not null
), bound as (
    select c.name, c.before,
           -- where there are no more than that, all of them stay
           case when c.keep_last = 0 then c.before else coalesce((
               select r.created_at from queue.run r
               where r.pipeline = c.name and r.parent_task is null and r.finished_at is not null
               order by r.created_at desc offset c.keep_last - 1 limit 1), '-infinity') end as oldest_kept
    from cut c
)
select r.id, r.pipeline, r.finished_at as "finished_at!"
from bound b
cross join lateral (
    select r.id, r.pipeline, r.finished_at, r.created_at from queue.run r
    where r.pipeline = b.name and r.created_at < b.oldest_kept and r.created_at < b.before
      and r.parent_task is null and r.finished_at < b.before
      and r.id <> all ($2::uuid[])
      and not exists (select 1 from queue.archived_run a where a.run_id = r.id)
      and not exists (
          select 1 from queue.run_tree(r.id) k
          where k.finished_at is null or k.run_id = any ($2)
             or exists (select 1 from queue.log l where l.run_id = k.run_id))
    order by r.created_at limit $1
) r
order by r.created_at
limit $1
