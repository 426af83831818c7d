-- The way into `ready`: past pauses, limits and the other tenants.

create or replace function queue.enter(p_tasks bigint[]) returns integer language plpgsql volatile
set plan_cache_mode = force_generic_plan set join_collapse_limit = 1
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_entered integer;
    v_shared bigint[];
    v_share record;
    v_head bigint;
    v_from bigint;
    v_used integer;
    v_weight integer;
    v_scheduler smallint := (select p.id from queue.pool p where p.name = '@scheduler');
begin
    -- one statement, so that a pause or its end in between cannot put a task in two places, or in none
    with placed as materialized (
        select t.id as task_id, case when t.index = -1 then v_scheduler else s.pool end as pool,
               r.priority, r.is_paused, r.tenant
        from queue.task t
        join queue.step s on s.run_id = t.run_id and s.index = t.step
        join queue.run r on r.id = t.run_id
        where t.id = any (p_tasks)
    ), held as (
        insert into queue.parked (task_id) select p.task_id from placed p where p.is_paused on conflict do nothing
    ), readied as (
        insert into queue.ready (pool, priority, task_id)
        select p.pool, p.priority, p.task_id from placed p
        where not p.is_paused and p.tenant is null order by p.task_id
        returning task_id
    )
    select (select count(*) from readied),
           array_agg(p.task_id) filter (where not p.is_paused and p.tenant is not null)
    into v_entered, v_shared from placed p;
    if v_shared is null then
        return v_entered;
    end if;

    for v_share in
        select q.pool, q.priority, r.tenant, array_agg(q.task_id order by q.task_id) as tasks
        from queue.queue_place(v_shared) q join queue.task t on t.id = q.task_id join queue.run r on r.id = t.run_id
        group by q.pool, q.priority, r.tenant order by q.pool, q.priority, r.tenant
    loop
        -- a tenant's first task goes level with the oldest that wait, the others behind it
        select coalesce(min(h.seq), nextval('queue.ready_seq')) into v_head from (
            select c.seq from queue.ready c
            where c.pool = v_share.pool and c.priority = v_share.priority order by c.seq limit 1) h;
        insert into queue.turn (pool, priority, tenant, seq)
        values (v_share.pool, v_share.priority, v_share.tenant, v_head) on conflict do nothing;
        select greatest(k.seq, v_head), case when k.seq >= v_head then k.used else 0 end into v_from, v_used
        from queue.turn k
        where k.pool = v_share.pool and k.priority = v_share.priority and k.tenant = v_share.tenant for update;
        -- so many of its tasks as it has weight share a place
        v_weight := coalesce((select n.weight from queue.tenant n where n.name = v_share.tenant), 1);
        v_used := least(v_used, v_weight - 1);
        insert into queue.ready (pool, priority, seq, task_id)
        select v_share.pool, v_share.priority, v_from + 1 + (v_used + u.place - 1) / v_weight, u.task_id
        from unnest(v_share.tasks) with ordinality u (task_id, place);
        update queue.turn k set
            seq = v_from + (v_used + cardinality(v_share.tasks)) / v_weight,
            used = (v_used + cardinality(v_share.tasks)) % v_weight
        where k.pool = v_share.pool and k.priority = v_share.priority and k.tenant = v_share.tenant;
        -- tasks without a tenant come where the tenants' turns have come to, not far before it
        perform setval('queue.ready_seq', greatest(v_head, s.last_value)) from queue.ready_seq s;
        v_entered := v_entered + cardinality(v_share.tasks);
    end loop;
    return v_entered;
end $$;
comment on function queue.enter is
    'Makes tasks ready that nothing else holds back, or parks those of paused runs; returns how many became ready.';

create or replace function queue.admit(p_tasks bigint[]) returns integer language plpgsql volatile
set plan_cache_mode = force_generic_plan set join_collapse_limit = 1
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_free bigint[];
    v_keys text[];
    v_entered integer := 0;
begin
    select array_agg(t.id order by t.id) filter (where t.limit_key is null),
           array_agg(distinct t.limit_key) filter (where t.limit_key is not null)
    into v_free, v_keys from queue.task t where t.id = any (p_tasks);
    if v_free is not null then
        v_entered := queue.enter(v_free);
    end if;
    if v_keys is null then
        return v_entered;
    end if;
    -- the step that asks last says what the limit is
    insert into queue.gate as g (key, capacity, rate_count, rate_ms, tokens)
    select distinct on (u.limit_key) u.limit_key, s.capacity, s.rate_count, s.rate_ms, coalesce(s.rate_count, 0)
    from (
        select t.limit_key, t.run_id, t.step, max(t.id) as last from queue.task t
        where t.id = any (p_tasks) and t.limit_key is not null
        group by t.limit_key, t.run_id, t.step
    ) u join queue.step s on s.run_id = u.run_id and s.index = u.step
    order by u.limit_key, u.last desc
    on conflict (key) do update
    set capacity = excluded.capacity, rate_count = excluded.rate_count, rate_ms = excluded.rate_ms
    where (g.capacity, g.rate_count, g.rate_ms)
        is distinct from (excluded.capacity, excluded.rate_count, excluded.rate_ms);
    return v_entered + queue.pass_gates(v_keys, p_tasks);
end $$;
comment on function queue.admit is
    'Makes tasks ready as far as their limits allow; the others wait at their gate. Returns how many became ready.';

create or replace function queue.pass_gates(p_keys text[], p_tasks bigint[]) returns integer language plpgsql volatile
set plan_cache_mode = force_generic_plan set join_collapse_limit = 1
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_gate record;
    v_room integer;
    v_tokens double precision;
    v_come bigint[];
    v_tasks bigint[];
    v_entered integer := 0;
begin
    -- one key after another and in order, so that two openings never cross
    for v_gate in
        select g.*, c.tasks
        from queue.gate g
        left join (
            select t.limit_key, array_agg(t.id order by r.priority, t.id) as tasks
            from queue.task t join queue.run r on r.id = t.run_id
            where t.id = any (p_tasks) and t.limit_key is not null
            group by t.limit_key
        ) c on c.limit_key = g.key
        where g.key = any (p_keys) order by g.key for no key update of g
    loop
        -- most gates that are asked to open have nobody before them, and then nobody counts who is inside
        continue when v_gate.tasks is null
            and not exists (select 1 from queue.waiting w where w.key = v_gate.key);
        v_room := 1000000000;
        if v_gate.capacity is not null then
            select v_gate.capacity - count(*) into v_room from queue.admitted a where a.key = v_gate.key;
        end if;
        if v_gate.rate_count is not null then
            v_tokens := least(v_gate.rate_count, v_gate.tokens + v_gate.rate_count
                * extract(epoch from clock_timestamp() - v_gate.refilled_at) * 1000 / v_gate.rate_ms);
            v_room := least(v_room, floor(v_tokens));
        end if;
        v_room := greatest(v_room, 0);
        v_come := v_gate.tasks;
        v_tasks := null;
        -- whoever comes when nobody waits goes straight through, as far as there is room; the others queue up
        if v_come is not null and not exists (select 1 from queue.waiting w where w.key = v_gate.key) then
            v_tasks := nullif(v_come[1:v_room], '{}');
            v_come := v_come[v_room + 1:];
        end if;
        insert into queue.waiting (key, priority, task_id)
        select v_gate.key, r.priority, t.id from queue.task t join queue.run r on r.id = t.run_id
        where t.id = any (v_come) order by t.id;
        if v_tasks is null and v_room > 0 then
            with opened as (
                delete from queue.waiting w where w.ctid = any (array(
                    select c.ctid from queue.waiting c where c.key = v_gate.key
                    order by c.priority, c.seq limit v_room for update skip locked))
                returning w.task_id
            )
            select array_agg(o.task_id order by o.task_id) into v_tasks from opened o;
        end if;
        continue when v_tasks is null;
        if v_gate.capacity is not null then
            insert into queue.admitted (task_id, key) select u.task_id, v_gate.key from unnest(v_tasks) u (task_id);
        end if;
        if v_gate.rate_count is not null then
            update queue.gate g set tokens = v_tokens - cardinality(v_tasks), refilled_at = clock_timestamp()
            where g.key = v_gate.key;
        end if;
        v_entered := v_entered + queue.enter(v_tasks);
    end loop;
    return v_entered;
end $$;
comment on function queue.pass_gates is
    'Lets tasks in that come to these gates or wait there, as far as there is room; returns how many became ready.';

create or replace function queue.open_gates(p_keys text[]) returns integer language sql volatile as $$
    select queue.pass_gates(p_keys, '{}')
$$;
comment on function queue.open_gates is 'Lets tasks in that wait at these gates, as far as there is room; returns how many became ready.';

create or replace function queue.held_places(p_tasks bigint[], p_keys text[]) returns tid[]
language sql stable as $$
    -- one by one, as queue.held_leases
    select array(
        select l.place from unnest(p_tasks, p_keys) u (task_id, key)
        cross join lateral (
            select a.ctid as place from queue.admitted a
            where a.key = u.key and a.task_id = u.task_id offset 0) l)
$$;
comment on function queue.held_places is
    'Where the places are that these tasks hold under these keys. A place is never updated, so that it does not move.';

create or replace function queue.leave(p_tasks bigint[]) returns integer language plpgsql volatile
set plan_cache_mode = force_generic_plan set join_collapse_limit = 1
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_tasks bigint[];
    v_keys text[];
begin
    select array_agg(t.id), array_agg(t.limit_key) into v_tasks, v_keys
    from queue.task t where t.id = any (p_tasks) and t.limit_key is not null;
    return case when v_tasks is null then 0 else queue.leave_places(v_tasks, v_keys) end;
end $$;
comment on function queue.leave is 'As queue.leave_places, for tasks of which some may have no limit.';

create or replace function queue.leave_places(p_tasks bigint[], p_keys text[]) returns integer language plpgsql volatile
set plan_cache_mode = force_generic_plan set join_collapse_limit = 1
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_keys text[];
begin
    with gone as (
        delete from queue.admitted a where a.ctid = any (queue.held_places(p_tasks, p_keys)) returning a.key
    )
    select array_agg(distinct g.key) into v_keys from gone g;
    if v_keys is null then
        return 0;
    end if;
    if cardinality(p_tasks) < 32 then
        return queue.open_gates(v_keys);
    end if;
    -- a gate is locked until its transaction has reached the disk, which many of them would do one after another
    insert into queue.knock (key) select u.key from unnest(v_keys) u (key);
    return 1;
end $$;
comment on function queue.leave_places is
    'Gives up the places that tasks held under their limits: to the next that wait or, for many at once, by a knock. Returns how many became ready, or may.';

create or replace function queue.answer_knocks() returns integer language plpgsql volatile as $$
declare
    v_keys text[];
begin
    perform set_config('synchronous_commit', 'off', true);
    with heard as (
        delete from queue.knock k
        where k.ctid = any (array(select c.ctid from queue.knock c limit 10000 for update skip locked))
        returning k.key
    )
    select array_agg(distinct h.key) into v_keys from heard h;
    return case when v_keys is null then 0 else 1 + queue.open_gates(v_keys) end;
end $$;
comment on function queue.answer_knocks is 'Opens the gates at which acknowledgements knocked; 0 where there was no knock. For schedulers.';

create or replace function queue.reconcile_gates(p_thoroughly boolean) returns integer language plpgsql volatile as $$
declare
    v_keys text[];
    v_entered integer := 0;
begin
    if p_thoroughly then
        -- by construction there are none; a place that outlived its task would hold up others for ever
        with gone as (
            delete from queue.admitted a
            where not exists (
                select 1 from queue.task t where t.id = a.task_id and t.finished_at is null and t.state <> 'delayed')
            returning a.key
        )
        select array_agg(distinct g.key) into v_keys from gone g;
        v_entered := case when v_keys is null then 0 else queue.open_gates(v_keys) end;
    end if;
    -- tokens come back with time, which nobody announces
    select array_agg(g.key order by g.key) into v_keys from queue.gate g
    where (p_thoroughly or g.rate_count is not null)
      and exists (select 1 from queue.waiting w where w.key = g.key);
    return v_entered + case when v_keys is null then 0 else queue.open_gates(v_keys) end;
end $$;
comment on function queue.reconcile_gates is
    'Opens gates whose tokens came back and, thoroughly, frees places of tasks that are over; returns how many tasks became ready.';
