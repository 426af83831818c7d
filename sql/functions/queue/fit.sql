-- Claims that weigh what tasks ask for against what their worker has left.

create or replace function queue.ensure_lane(
    p_pool text, p_cpu_millis integer, p_memory_bytes bigint, p_gpus integer, p_labels text[])
returns text language plpgsql volatile as $$
declare
    v_pool smallint;
    v_lane smallint;
    v_name text;
begin
    select p.id into strict v_pool from queue.pool p where p.name = p_pool;
    for v_turn in 1..2 loop
        select p.name into v_name from queue.lane l join queue.pool p on p.id = l.id
        where l.pool = v_pool and l.cpu_millis = p_cpu_millis and l.memory_bytes = p_memory_bytes
          and l.gpus = p_gpus and l.labels = p_labels;
        if found then
            return v_name;
        end if;
        -- whoever waits here finds the lane in the second turn
        perform 1 from queue.pool p where p.id = v_pool for no key update;
    end loop;
    v_lane := nextval(pg_get_serial_sequence('queue.pool', 'id'));
    v_name := format('%s+%s', p_pool, v_lane);
    insert into queue.pool (id, name) overriding system value values (v_lane, v_name);
    insert into queue.lane (id, pool, cpu_millis, memory_bytes, gpus, labels)
    values (v_lane, v_pool, p_cpu_millis, p_memory_bytes, p_gpus, p_labels);
    update queue.pool p set weighs = true where p.id = v_pool and not p.weighs;
    return v_name;
end $$;
comment on function queue.ensure_lane is
    'The name of the lane of a pool''s tasks that ask for this; it is made at its first mention.';

create or replace function queue.patience() returns interval language sql immutable as $$
    select interval '5 seconds'
$$;
comment on function queue.patience is
    'How long the next task in order waits for room before a worker keeps room for it, and how long a worker that keeps it may be silent.';

create or replace function queue.keep_room(p_lane smallint, p_worker uuid) returns boolean language plpgsql volatile as $$
begin
    insert into queue.reservation as r (lane, worker_id) values (p_lane, p_worker)
    on conflict (lane) do update set worker_id = excluded.worker_id, renewed_at = clock_timestamp()
    where r.worker_id = excluded.worker_id
       or r.renewed_at < clock_timestamp() - queue.patience()
       or not exists (select 1 from queue.worker w where w.id = r.worker_id);
    return found;
end $$;
comment on function queue.keep_room is 'Whether this worker is the one that keeps room for a lane: one at a time, until it falls silent.';

create or replace function queue.candidates(
    p_pool smallint, p_worker queue.worker, p_count integer, p_after bigint[])
returns table (
    lane smallint, cpu_millis integer, memory_bytes bigint, gpus integer,
    priority smallint, seq bigint, task_id bigint, entered_at timestamptz)
language sql stable as $$
    with served (lane, cpu_millis, memory_bytes, gpus) as (
        select p_pool, 0, 0::bigint, 0
        union all
        select l.id, l.cpu_millis, l.memory_bytes, l.gpus from queue.lane l
        where l.pool = p_pool and l.cpu_millis <= p_worker.cpu_millis and l.memory_bytes <= p_worker.memory_bytes
          and l.gpus <= p_worker.gpus and l.labels <@ p_worker.labels
    ), heads as (
        select s.*, p.priority, c.seq, c.task_id, c.entered_at,
               min(c.entered_at) over (partition by p.priority) as oldest
        from served s
        cross join unnest('{0,1,2}'::smallint[]) p (priority)
        cross join lateral (
            select r.seq, r.task_id, r.entered_at from queue.ready r
            where r.pool = s.lane and r.priority = p.priority
              and r.seq > case when s.lane = p_pool then p_after[p.priority + 1] else 0 end
            order by r.seq limit p_count
        ) c
    )
    select h.lane, h.cpu_millis, h.memory_bytes, h.gpus, h.priority, h.seq, h.task_id, h.entered_at
    from heads h
    -- as queue.claim_order has it, over all lanes
    order by h.priority - floor(extract(epoch from clock_timestamp() - h.oldest) / 60), h.priority, h.seq, h.task_id
$$;
comment on function queue.candidates is
    'The first tasks of a pool and its lanes that a worker could run if it were empty, in the order in which to serve them.';

create or replace function queue.claim_fitting(p_pool smallint, p_worker uuid, p_count integer, p_after bigint[])
returns table (
    task_id bigint, attempt_id bigint, priority smallint, seq bigint, run_id uuid, pipeline text, version_id bigint,
    logical_date date, step smallint, step_name text, kind text, index integer, arguments jsonb,
    attempts smallint, crashes smallint, attempts_max smallint, timeout_ms bigint)
language plpgsql volatile as $$
#variable_conflict use_column
declare
    v_pool queue.pool;
    v_worker queue.worker;
    v_next record;
    -- what is left, and what of it is kept
    v_slots integer;
    v_cpu bigint;
    v_memory bigint;
    v_gpus bigint;
    v_kept_slots integer := 0;
    v_kept_cpu bigint := 0;
    v_kept_memory bigint := 0;
    v_kept_gpus bigint := 0;
    v_tasks bigint[] := '{}';
    v_lanes smallint[] := '{}';
    v_priorities smallint[] := '{}';
    v_seqs bigint[] := '{}';
    v_base bigint := queue.random_attempt_base();
begin
    perform set_config('synchronous_commit', 'off', true);
    -- one claim of a worker at a time: what it has left is counted under this lock
    select w.* into v_worker from queue.worker w where w.id = p_worker for no key update;
    if not found then
        return;
    end if;
    select p.* into strict v_pool from queue.pool p where p.id = p_pool;
    if v_pool.is_paused then
        return;
    end if;
    select least(p_count, v_worker.slots - count(*)),
           v_worker.cpu_millis - coalesce(sum(d.cpu_millis), 0),
           v_worker.memory_bytes - coalesce(sum(d.memory_bytes), 0),
           v_worker.gpus - coalesce(sum(d.gpus), 0)
    into v_slots, v_cpu, v_memory, v_gpus
    from queue.lease l left join queue.lane d on d.id = l.lane where l.worker_id = p_worker;
    if v_pool.leases_max is not null then
        perform 1 from queue.pool p where p.id = p_pool for no key update;
        v_slots := least(v_slots, v_pool.leases_max - (
            select count(*)::int from queue.lease l join queue.worker w on w.id = l.worker_id where w.pool = p_pool));
    end if;
    if v_slots <= 0 then
        return;
    end if;

    -- some more than it can take: others may be taking the first of them at this moment
    for v_next in select c.* from queue.candidates(p_pool, v_worker, v_slots + 16, p_after) c loop
        exit when v_slots <= 0;
        if v_slots <= v_kept_slots
            or v_next.cpu_millis > 0 and v_next.cpu_millis > v_cpu - v_kept_cpu
            or v_next.memory_bytes > 0 and v_next.memory_bytes > v_memory - v_kept_memory
            or v_next.gpus > 0 and v_next.gpus > v_gpus - v_kept_gpus
        then
            -- the first that has waited for long is kept room for; what comes after it goes around that room
            if v_kept_slots = 0 and v_next.entered_at < clock_timestamp() - queue.patience()
                and queue.keep_room(v_next.lane, p_worker)
            then
                v_kept_slots := 1;
                v_kept_cpu := v_next.cpu_millis;
                v_kept_memory := v_next.memory_bytes;
                v_kept_gpus := v_next.gpus;
            end if;
            continue;
        end if;
        delete from queue.ready r where r.ctid = any (array(
            select c.ctid from queue.ready c
            where c.pool = v_next.lane and c.priority = v_next.priority and c.seq = v_next.seq
              and c.task_id = v_next.task_id
            for update skip locked));
        continue when not found;
        v_slots := v_slots - 1;
        v_cpu := v_cpu - v_next.cpu_millis;
        v_memory := v_memory - v_next.memory_bytes;
        v_gpus := v_gpus - v_next.gpus;
        v_tasks := v_tasks || v_next.task_id;
        v_lanes := v_lanes || nullif(v_next.lane, p_pool);
        v_priorities := v_priorities || v_next.priority;
        -- a lane's task says nothing of how far the pool's own order has come
        v_seqs := v_seqs || case when v_next.lane = p_pool then v_next.seq else 0 end;
    end loop;

    return query
    with taken as (
        select * from unnest(v_tasks, v_lanes, v_priorities, v_seqs) with ordinality
            u (task_id, lane, priority, seq, place)
    ), leased as (
        insert into queue.lease as l (task_id, attempt_id, worker_id, lane)
        select t.task_id, v_base + t.place, p_worker, t.lane from taken t
        returning l.task_id, l.attempt_id
    )
    select l.task_id, l.attempt_id, t.priority, t.seq, k.run_id, r.pipeline, r.version_id,
           r.logical_date, k.step, s.name, s.kind, k.index, coalesce(k.arguments, s.arguments),
           k.attempts, k.crashes, s.attempts_max,
           case when s.timeout_total_ms is null then s.timeout_ms
                else queue.time_left(s.timeout_ms, s.timeout_total_ms, k.began_at) end
    from leased l
    join taken t using (task_id)
    join queue.task k on k.id = l.task_id
    join queue.step s on s.run_id = k.run_id and s.index = k.step
    join queue.run r on r.id = k.run_id
    order by t.place;
end $$;
comment on function queue.claim_fitting is
    'queue.claim for a pool that weighs: leases ready tasks of the pool and its lanes as far as this worker has slots and resources left, and never more.';
