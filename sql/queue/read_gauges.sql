-- What the queue holds now. Live tables alone are read: they grow with what waits and runs, not with history.
with pools as (
    select p.name, p.is_paused, p.leases_max, coalesce(r.ready, 0) as ready, r.oldest_seconds,
           coalesce(h.leases, 0) as leases, coalesce(w.workers, 0) as workers, coalesce(w.slots, 0) as slots
    from queue.pool p
    left join (
        -- what waits in a pool's lanes waits for the pool's workers
        select coalesce(n.pool, c.pool) as pool, count(*) as ready,
               greatest(extract(epoch from clock_timestamp() - min(c.entered_at)), 0)::float8 as oldest_seconds
        from queue.ready c left join queue.lane n on n.id = c.pool group by 1
    ) r on r.pool = p.id
    left join (
        select w.pool, count(*) as leases
        from queue.lease l join queue.worker w on w.id = l.worker_id group by w.pool
    ) h on h.pool = p.id
    left join (
        select w.pool, count(*) as workers, sum(w.slots) as slots from queue.worker w group by w.pool
    ) w on w.pool = p.id
    where not exists (select 1 from queue.lane n where n.id = p.id)
    order by p.name
), waits as (
    select w.key, count(*) as waiting from queue.waiting w group by w.key
), uses as (
    select a.key, count(*) as used from queue.admitted a group by a.key
), limits as (
    select g.key, coalesce(u.used, 0) as used, g.capacity as places, coalesce(w.waiting, 0) as waiting
    from waits w full join uses u on u.key = w.key join queue.gate g on g.key = coalesce(w.key, u.key)
    order by waiting desc, used desc, g.key limit $1
), pipelines as (
    select l.pipeline as key, count(*) filter (where not l.is_waiting) as used, p.runs_max as places,
           count(*) filter (where l.is_waiting) as waiting
    from queue.place l join queue.pipeline p on p.name = l.pipeline
    group by l.pipeline, p.runs_max
    order by waiting desc, used desc, l.pipeline limit $1
), runs as (
    select t.state::text as state, sum(t.runs)::bigint as runs from queue.run_tally t group by t.state order by t.state
)
select
    (select coalesce(jsonb_agg(p), '[]') from pools p) as "pools!: Json<Vec<PoolGauges>>",
    (select coalesce(jsonb_agg(l), '[]') from limits l) as "limits!: Json<Vec<LimitGauges>>",
    (select coalesce(jsonb_agg(l), '[]') from pipelines l) as "pipelines!: Json<Vec<LimitGauges>>",
    (select coalesce(jsonb_agg(r), '[]') from runs r) as "runs!: Json<Vec<RunCount>>",
    (select coalesce(sum(w.waiting), 0)::bigint from waits w) as "waiting!",
    (select count(*) from queue.delayed) as "delayed!",
    (select count(*) from queue.parked) as "parked!",
    (select count(*) from queue.approval a where a.decision is null) as "approvals!"
