create or replace function queue.random_attempt_base() returns bigint language sql volatile as $$
    -- gen_random_uuid is the server's strong generator; 62 bits leave room to count up within a batch
    select ('x' || substr(replace(gen_random_uuid()::text, '-', ''), 17, 16))::bit(64)::bigint & x'3fffffffffffffff'::bigint
$$;
comment on function queue.random_attempt_base is
    'A random start for the fencing tokens of one claim. A sequence could be reissued after a crash, as claims commit asynchronously.';

create or replace function queue.queue_place(p_tasks bigint[])
returns table (task_id bigint, pool smallint, priority smallint) language sql stable as $$
    select t.id, case when t.index = -1 then p.id else s.pool end, r.priority
    from queue.task t
    join queue.step s on s.run_id = t.run_id and s.index = t.step
    join queue.run r on r.id = t.run_id
    cross join queue.pool p
    where t.id = any (p_tasks) and p.name = '@scheduler'
$$;
comment on function queue.queue_place is 'Where a task queues: its step''s pool, or the scheduler''s when it expands the step.';

create or replace function queue.claim_order(p_pool smallint, p_after bigint[]) returns table (priority smallint)
language sql stable as $$
    -- the oldest task of each priority speaks for it: a minute of waiting is worth one step of urgency
    select p.priority
    from unnest('{0,1,2}'::smallint[]) p (priority)
    cross join lateral (
        select c.entered_at from queue.ready c
        where c.pool = p_pool and c.priority = p.priority and c.seq > p_after[p.priority + 1]
        order by c.seq limit 1
    ) h
    order by p.priority - floor(extract(epoch from clock_timestamp() - h.entered_at) / 60), p.priority
$$;
comment on function queue.claim_order is
    'The priorities that have ready tasks in a pool, in the order in which to serve them: urgent first, unless others have waited for long.';

create or replace function queue.time_left(p_timeout_ms bigint, p_total_ms bigint, p_began_at timestamptz)
returns bigint language sql stable as $$
    -- one that has none left is stopped at once, and fails
    select greatest(1, least(p_timeout_ms, p_total_ms
        - coalesce(extract(epoch from clock_timestamp() - p_began_at) * 1000, 0)))::bigint
$$;
comment on function queue.time_left is 'How long the next attempt at a task may take whose attempts have a time together.';

create or replace function queue.take(p_pool smallint, p_worker uuid, p_count integer, p_after bigint[])
returns table (
    task_id bigint, attempt_id bigint, priority smallint, seq bigint, run_id uuid, pipeline text, version_id bigint,
    logical_date date, step smallint, step_name text, kind text, index integer, arguments jsonb,
    attempts smallint, crashes smallint, attempts_max smallint, timeout_ms bigint)
language plpgsql volatile
-- Planned once, as lookups by key in the order that is written: the tables turn over every second, and a plan that was
-- made while one was small would read all of it for every batch, until statistics catch up.
set plan_cache_mode = force_generic_plan set join_collapse_limit = 1
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
    v_priority smallint;
    v_claimed integer;
    v_left integer := p_count;
    v_base bigint := queue.random_attempt_base();
    v_pool queue.pool;
begin
    select p.* into strict v_pool from queue.pool p where p.id = p_pool;
    if v_pool.is_paused then
        return;
    end if;
    if v_pool.leases_max is not null then
        -- claims of a limited pool follow one another, so that together they stay below the limit
        perform 1 from queue.pool p where p.id = p_pool for no key update;
        -- leases of a worker that was given up for dead would not count
        if not exists (select 1 from queue.worker w where w.id = p_worker) then
            return;
        end if;
        v_left := least(v_left, v_pool.leases_max - (
            select count(*)::int from queue.lease l join queue.worker w on w.id = l.worker_id where w.pool = p_pool));
        if v_left <= 0 then
            return;
        end if;
    end if;
    for v_priority in select o.priority from queue.claim_order(p_pool, p_after) o loop
        -- the array keeps the planner on the primary key: a join with a CTE makes it scan the table
        return query
        with taken as (
            delete from queue.ready r
            where r.ctid = any (array(
                select c.ctid from queue.ready c
                where c.pool = p_pool and c.priority = v_priority and c.seq > p_after[v_priority + 1]
                order by c.seq limit v_left for update skip locked))
            returning r.task_id, r.seq
        ), numbered as (
            select t.task_id, t.seq, v_base + row_number() over () as attempt_id from taken t
        ), leased as (
            insert into queue.lease (task_id, attempt_id, worker_id)
            select n.task_id, n.attempt_id, p_worker from numbered n
        )
        -- joined here, under the snapshot that saw the ready rows: the caller's query has an older one, which may not
        -- see the tasks of a run that was started in between, and would keep back what has just been leased; row by row
        -- (`offset 0`), whatever statistics say
        select n.task_id, n.attempt_id, v_priority, n.seq, k.run_id, r.pipeline, r.version_id,
               r.logical_date, k.step, s.name, s.kind, k.index, coalesce(k.arguments, s.arguments),
               k.attempts, k.crashes, s.attempts_max,
               case when s.timeout_total_ms is null then s.timeout_ms
                    else queue.time_left(s.timeout_ms, s.timeout_total_ms, k.began_at) end
        from numbered n
        cross join lateral (select t.* from queue.task t where t.id = n.task_id offset 0) k
        cross join lateral (select p.* from queue.step p where p.run_id = k.run_id and p.index = k.step offset 0) s
        cross join lateral (select u.* from queue.run u where u.id = k.run_id offset 0) r;
        get diagnostics v_claimed = row_count;
        v_left := v_left - v_claimed;
        v_base := v_base + v_claimed;
        exit when v_left <= 0;
    end loop;
end $$;
comment on function queue.take is
    'Leases up to p_count ready tasks of a pool; p_after holds one watermark per priority. For transactions that acknowledge, too.';

create or replace function queue.claim(p_pool smallint, p_worker uuid, p_count integer, p_after bigint[])
returns table (
    task_id bigint, attempt_id bigint, priority smallint, seq bigint, run_id uuid, pipeline text, version_id bigint,
    logical_date date, step smallint, step_name text, kind text, index integer, arguments jsonb,
    attempts smallint, crashes smallint, attempts_max smallint, timeout_ms bigint)
language plpgsql volatile as $$
begin
    -- a claim that a crash of the server forgets is simply ready again, so nothing waits for the disk; this holds
    -- until the transaction's end, so an acknowledgement must not share it
    perform set_config('synchronous_commit', 'off', true);
    return query select t.* from queue.take(p_pool, p_worker, p_count, p_after) t;
end $$;
comment on function queue.claim is 'Takes tasks in a transaction that does nothing else, without waiting for the disk.';
