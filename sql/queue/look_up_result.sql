-- One row for the task: what its step asks of the cache, the result that is kept under its key, and else the newest of its step.
select s.caches, r.uses_cache, s.cache_ttl_ms, t.cache_key, k.key as "key!",
       e.outputs, e.artifacts as "artifacts?", e.run_id as "run_id?", e.task_id as "task_id?",
       extract(epoch from clock_timestamp() - e.created_at)::double precision as age_seconds,
       n.kind as "newest_kind?", n.kind_version as "newest_kind_version?", n.inputs as newest_inputs
from queue.task t
join queue.step s on s.run_id = t.run_id and s.index = t.step
join queue.run r on r.id = t.run_id
cross join lateral (
    select case when t.cache_key is null then $2 else sha256(convert_to($3 || t.cache_key, 'UTF8')) end as key
) k
left join queue.cached_result e on s.caches and e.pipeline = r.pipeline and e.step = s.name and e.key = k.key
left join lateral (
    -- for saying what differs: of an item of a fan-out, the last result of the same item tells more than another's
    select c.kind, c.kind_version, c.inputs
    from (
        select * from queue.cached_result c
        where s.caches and e.key is null and c.pipeline = r.pipeline and c.step = s.name
        order by c.created_at desc limit 100
    ) c
    left join queue.task o on o.id = c.task_id
    order by (o.index is not distinct from t.index) desc, c.created_at desc limit 1
) n on true
where t.id = $1
