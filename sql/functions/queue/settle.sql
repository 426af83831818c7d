-- The settings of these functions are those of queue.take, for its reasons.

-- both returned nothing once
drop function if exists queue.release_steps(uuid[], smallint[]);
drop function if exists queue.settle_steps(uuid[], smallint[]);

create or replace function queue.release_steps(p_runs uuid[], p_steps smallint[]) returns integer
language plpgsql volatile
set plan_cache_mode = force_generic_plan set join_collapse_limit = 1
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_runs uuid[];
    v_steps smallint[];
begin
    with opened as (
        update queue.step s set
            state = case when s.planned then 'running' else 'expanding' end::queue.step_state,
            started_at = clock_timestamp()
        from unnest(p_runs, p_steps) u (run_id, index)
        where s.run_id = u.run_id and s.index = u.index and s.state = 'waiting'
        returning s.run_id, s.index
    )
    select array_agg(o.run_id order by o.run_id, o.index), array_agg(o.index order by o.run_id, o.index)
    into v_runs, v_steps from opened o;
    return case when v_runs is null then 0 else queue.queue_steps(v_runs, v_steps) end;
end $$;
comment on function queue.release_steps is 'Opens steps whose needs are met, and queues what they have to do. Returns how many tasks became ready.';

create or replace function queue.queue_steps(p_runs uuid[], p_steps smallint[]) returns integer
language plpgsql volatile
set plan_cache_mode = force_generic_plan set join_collapse_limit = 1
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_planned integer;
    v_expanding integer;
    v_held bigint[];
begin
    -- Tasks that were planned when the run started; those of limits, tenants and paused runs go the long way. Their rows
    -- stay as they are: an open step says that its blocked tasks are queued, and an update of each would say no more.
    with placed as (
        select t.id, t.index, s.pool, t.run_id, t.step, r.priority,
               t.limit_key is null and r.tenant is null and not r.is_paused as is_free
        from unnest(p_runs, p_steps) u (run_id, index)
        join queue.step s on s.run_id = u.run_id and s.index = u.index and s.planned
        join queue.run r on r.id = u.run_id
        join queue.task t on t.run_id = u.run_id and t.step = u.index and t.state = 'blocked'
    ), readied as (
        insert into queue.ready (pool, priority, task_id)
        select p.pool, p.priority, p.id from placed p where p.is_free
        order by p.run_id, p.step, p.index
        returning task_id
    )
    select (select count(*) from readied), array_agg(p.id) filter (where not p.is_free)
    into v_planned, v_held from placed p;
    if v_held is not null then
        v_planned := v_planned + queue.admit(v_held);
    end if;

    -- steps that the scheduler must expand first
    with expansions as (
        insert into queue.task (run_id, step, index, state)
        select s.run_id, s.index, -1, 'queued'
        from unnest(p_runs, p_steps) u (run_id, index)
        join queue.step s on s.run_id = u.run_id and s.index = u.index and not s.planned
        returning id, run_id
    )
    insert into queue.ready (pool, priority, task_id)
    select p.id, r.priority, e.id
    from expansions e join queue.run r on r.id = e.run_id cross join queue.pool p
    where p.name = '@scheduler';
    get diagnostics v_expanding = row_count;
    return v_planned + v_expanding;
end $$;
comment on function queue.queue_steps is
    'Queues the tasks of steps that have just opened, or the scheduler''s task that expands them. Returns how many became ready.';

create or replace function queue.step_end(
    p_error text, p_sequence boolean, p_total integer, p_failed integer, p_tolerate_ppm integer)
returns queue.step_state language sql immutable as $$
    select case
        when p_error is not null
            -- the items after the failed one never ran, so that there is no share to tolerate
            or p_sequence and p_failed > 0
            or p_failed::bigint * 1000000 > p_total::bigint * p_tolerate_ppm
            then 'failed'::queue.step_state
        else 'succeeded'::queue.step_state end
$$;
comment on function queue.step_end is 'How a step ends that has no open task.';

create or replace function queue.settle_steps(p_runs uuid[], p_steps smallint[]) returns integer
language plpgsql volatile
set plan_cache_mode = force_generic_plan set join_collapse_limit = 1
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_released integer := 0;
    v_runs uuid[] := p_runs;
    v_steps smallint[] := p_steps;
    v_free_runs uuid[];
    v_free_steps smallint[];
    v_barred_runs uuid[];
    v_barred_steps smallint[];
    v_ended uuid[];
    v_limited bigint[];
    v_keys text[];
begin
    -- each turn: steps that have no open task end; what they free is released; what they bar ends in the next turn
    while cardinality(v_runs) > 0 loop
        -- runs first and in order, so that two settlements of one run never cross
        perform 1 from queue.run r where r.id = any (v_runs) order by r.id for no key update;

        with ending as (
            update queue.step s set
                state = queue.step_end(s.error, s.sequence, s.tasks_total, s.tasks_failed, s.tolerate_ppm),
                finished_at = clock_timestamp()
            from unnest(v_runs, v_steps) u (run_id, index)
            where s.run_id = u.run_id and s.index = u.index and s.finished_at is null
            returning s.run_id, s.index, s.state, s.dependents
        ), ended as (
            select e.* from ending e
            union all
            -- those that count_off, a skip, a bar or a cancellation has ended
            select s.run_id, s.index, s.state, s.dependents
            from unnest(v_runs, v_steps) u (run_id, index)
            join queue.step s on s.run_id = u.run_id and s.index = u.index
            where s.finished_at is not null
        ), counted as (
            update queue.run r set
                open_steps = r.open_steps - n.ended,
                failed_steps = r.failed_steps + n.failed,
                state = case
                    when r.open_steps > n.ended then r.state
                    when r.cancelled_at is not null then 'cancelled'
                    when r.failed_steps + n.failed = 0 then 'succeeded'
                    else 'failed' end::queue.run_state,
                finished_at = case when r.open_steps > n.ended then null else clock_timestamp() end
            from (
                select e.run_id, count(*)::int as ended,
                       (count(*) filter (where e.state in ('failed', 'upstream_failed')))::int as failed
                from ended e group by e.run_id
            ) n
            where r.id = n.run_id
            returning r.id, r.open_steps
        ), reached as (
            select e.run_id, d.index, count(*)::int as ends,
                   (count(*) filter (where e.state in ('succeeded', 'skipped')))::int as good
            from ended e cross join unnest(e.dependents) d (index)
            group by e.run_id, d.index
        ), judged as (
            select r.run_id, r.index, r.ends,
                   case s.join_rule
                       when 'all_success' then r.good < r.ends
                       when 'any_success' then r.good = 0 and s.unmet = r.ends
                       else false end as barred,
                   s.join_rule = 'any_success' and r.good > 0 as opened
            from reached r join queue.step s on s.run_id = r.run_id and s.index = r.index
            where s.state = 'waiting'
        ), touched as (
            update queue.step s set
                unmet = case when j.barred then s.unmet when j.opened then 0 else s.unmet - j.ends end,
                state = case
                    when j.barred then 'upstream_failed'
                    when not j.opened and s.unmet > j.ends then 'waiting'
                    when s.planned then 'running'
                    else 'expanding' end::queue.step_state,
                started_at = case when not j.barred and (j.opened or s.unmet <= j.ends) then clock_timestamp() end,
                finished_at = case when j.barred then clock_timestamp() end
            from judged j
            where s.run_id = j.run_id and s.index = j.index and s.state = 'waiting'
            returning s.run_id, s.index, s.state
        )
        select
            coalesce(array_agg(t.run_id order by t.run_id, t.index) filter (where t.state in ('running', 'expanding')), '{}'),
            coalesce(array_agg(t.index order by t.run_id, t.index) filter (where t.state in ('running', 'expanding')), '{}'),
            coalesce(array_agg(t.run_id order by t.run_id, t.index) filter (where t.state = 'upstream_failed'), '{}'),
            coalesce(array_agg(t.index order by t.run_id, t.index) filter (where t.state = 'upstream_failed'), '{}'),
            (select coalesce(array_agg(c.id order by c.id) filter (where c.open_steps = 0), '{}') from counted c)
        into v_free_runs, v_free_steps, v_barred_runs, v_barred_steps, v_ended
        from touched t;

        if cardinality(v_free_runs) > 0 then
            v_released := v_released + queue.queue_steps(v_free_runs, v_free_steps);
        end if;

        if cardinality(v_barred_runs) > 0 then
            update queue.task t set state = 'cancelled', finished_at = clock_timestamp()
            from unnest(v_barred_runs, v_barred_steps) u (run_id, index)
            where t.run_id = u.run_id and t.step = u.index and t.state = 'blocked';
        end if;

        -- a step that is open but has nothing to do ends at once
        with idle as (
            select s.run_id, s.index from queue.step s
            join unnest(v_free_runs, v_free_steps) u (run_id, index) on s.run_id = u.run_id and s.index = u.index
            where s.planned and s.tasks_open = 0
        )
        select v_barred_runs || coalesce(array_agg(i.run_id), '{}'), v_barred_steps || coalesce(array_agg(i.index), '{}')
        into v_runs, v_steps from idle i;

        -- runs that ended, and the tasks of other runs that waited for them
        if cardinality(v_ended) > 0 then
            with finished as (
                select r.id, r.state, r.outputs, r.parent_task, r.pipeline from queue.run r
                where r.id = any (v_ended) and r.parent_task is not null
            ), answered as (
                update queue.task t set
                    state = case when f.state = 'succeeded' then 'succeeded' else 'failed' end::queue.task_state,
                    outputs = f.outputs,
                    error = case when f.state = 'failed' then format('run %s of pipeline %s failed', f.id, f.pipeline)
                                 when f.state = 'cancelled' then format('run %s of pipeline %s was cancelled', f.id, f.pipeline)
                            end,
                    finished_at = clock_timestamp()
                from finished f
                where t.id = f.parent_task and t.state = 'waiting'
                returning t.id, t.run_id, t.step, t.state, t.limit_key
            ), counted as (
                select c.run_id, c.step
                from queue.count_finished(
                    (select coalesce(array_agg(a.run_id), '{}') from answered a),
                    (select coalesce(array_agg(a.step), '{}') from answered a),
                    (select coalesce(array_agg(a.state = 'failed'), '{}') from answered a)) c
            )
            select v_runs || coalesce((select array_agg(c.run_id) from counted c), '{}'),
                   v_steps || coalesce((select array_agg(c.step) from counted c), '{}'),
                   (select array_agg(a.id) from answered a where a.limit_key is not null),
                   (select array_agg(a.limit_key) from answered a where a.limit_key is not null)
            into v_runs, v_steps, v_limited, v_keys;
            if v_limited is not null then
                -- a gate is locked before a run is, so that this one only knocks
                with gone as (
                    delete from queue.admitted d where d.ctid = any (queue.held_places(v_limited, v_keys)) returning d.key
                )
                insert into queue.knock (key) select distinct g.key from gone g;
                v_released := v_released + 1;
            end if;
            perform queue.give_place(v_ended);
        end if;
    end loop;
    return v_released;
end $$;
comment on function queue.settle_steps is
    'Ends steps that have no open task, and everything that follows: dependents are freed or barred, runs end, waiting parents go on. Returns how many tasks became ready.';

create or replace function queue.tallied_from() returns integer language sql immutable as $$
    select 256
$$;
comment on function queue.tallied_from is
    'Steps with at least this many tasks are counted by tallies: acknowledgements of one step would otherwise wait for each other.';

create or replace function queue.count_finished(p_runs uuid[], p_steps smallint[], p_failed boolean[])
returns table (run_id uuid, step smallint)
language plpgsql volatile
set plan_cache_mode = force_generic_plan set join_collapse_limit = 1
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
    v_runs uuid[];
    v_steps smallint[];
    v_ended integer[];
    v_failed integer[];
begin
    with finished as (
        select u.run_id, u.step, count(*)::int as ended, (count(*) filter (where u.failed))::int as failed
        from unnest(p_runs, p_steps, p_failed) u (run_id, step, failed)
        group by u.run_id, u.step
    ), sized as (
        select f.*, s.is_large
        from finished f
        cross join lateral (
            select p.tasks_total >= queue.tallied_from() and not p.sequence as is_large
            from queue.step p where p.run_id = f.run_id and p.index = f.step offset 0) s
    ), tallied as (
        insert into queue.tally (run_id, step, ended, failed)
        select z.run_id, z.step, z.ended, z.failed from sized z where z.is_large
    )
    select array_agg(z.run_id), array_agg(z.step), array_agg(z.ended), array_agg(z.failed)
    into v_runs, v_steps, v_ended, v_failed
    from sized z where not z.is_large;
    if v_runs is not null then
        return query select c.run_id, c.step from queue.count_off(v_runs, v_steps, v_ended, v_failed) c;
    end if;
end $$;
comment on function queue.count_finished is
    'Counts ended tasks off their steps, those of large steps by a tally, and returns the steps that have no open task left.';

create or replace function queue.count_off(p_runs uuid[], p_steps smallint[], p_ended integer[], p_failed integer[])
returns table (run_id uuid, step smallint)
language plpgsql volatile
set plan_cache_mode = force_generic_plan set join_collapse_limit = 1
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
begin
    -- Locked by a statement of its own, so that the next one's snapshot has the newest rows: one that locks and counts finds
    -- the newest count, but checks the row's constraints together with what its older snapshot has.
    perform 1 from unnest(p_runs, p_steps) u (run_id, index)
    join queue.step s on s.run_id = u.run_id and s.index = u.index
    order by s.run_id, s.index for no key update of s;

    return query
    with finished as (
        select * from unnest(p_runs, p_steps, p_ended, p_failed) u (run_id, step, ended, failed)
    ), found as (
        select s.run_id, s.index, f.failed, s.state as was,
               -- a sequence stops at its first failure: the items after it never start
               case when s.sequence and f.failed > 0 then 0 else s.tasks_open - f.ended end as tasks_open
        from finished f join queue.step s on s.run_id = f.run_id and s.index = f.step
    ), judged as (
        -- one that is expanding gets more tasks; one that was cancelled in the meantime has been settled
        select f.*, f.tasks_open = 0 and f.was = 'running' as ends from found f
    ), counted as (
        update queue.step s set
            tasks_failed = s.tasks_failed + j.failed,
            tasks_open = j.tasks_open,
            state = case when j.ends
                then queue.step_end(s.error, s.sequence, s.tasks_total, s.tasks_failed + j.failed, s.tolerate_ppm)
                else s.state end,
            finished_at = case when j.ends then clock_timestamp() else s.finished_at end
        from judged j
        where s.run_id = j.run_id and s.index = j.index
        returning s.run_id, s.index, j.tasks_open, s.sequence, j.was, j.ends
    ), expansions as (
        -- the scheduler's task of a sequence waits between items: on with it, or away with it
        update queue.task t set
            state = case when c.tasks_open > 0 then 'queued' else 'cancelled' end::queue.task_state,
            finished_at = case when c.tasks_open > 0 then null else clock_timestamp() end
        from counted c
        where c.sequence and c.was = 'running'
          and t.run_id = c.run_id and t.step = c.index and t.index = -1 and t.state = 'waiting'
        returning t.id, t.run_id, t.state
    ), requeued as (
        insert into queue.ready (pool, priority, task_id)
        select p.id, r.priority, e.id
        from expansions e join queue.run r on r.id = e.run_id cross join queue.pool p
        where p.name = '@scheduler' and e.state = 'queued'
    )
    select c.run_id, c.index from counted c where c.ends;
end $$;
comment on function queue.count_off is
    'Counts ended tasks off their steps, asks for the next item of a sequence, and ends and returns the steps that have no open task left; the caller settles them.';

create or replace function queue.fold_tallies(p_limit integer) returns integer language plpgsql volatile as $$
declare
    v_runs uuid[];
    v_steps smallint[];
    v_ended integer[];
    v_failed integer[];
begin
    -- what a crash of the server undoes is folded again, together with everything that followed from it
    perform set_config('synchronous_commit', 'off', true);
    with folded as (
        delete from queue.tally t
        where t.ctid = any (array(select c.ctid from queue.tally c limit p_limit for update skip locked))
        returning t.run_id, t.step, t.ended, t.failed
    ), summed as (
        select f.run_id, f.step, sum(f.ended)::int as ended, sum(f.failed)::int as failed
        from folded f group by f.run_id, f.step
    )
    select array_agg(s.run_id), array_agg(s.step), array_agg(s.ended), array_agg(s.failed)
    into v_runs, v_steps, v_ended, v_failed from summed s;
    if v_runs is null then
        return 0;
    end if;
    select coalesce(array_agg(c.run_id), '{}'), coalesce(array_agg(c.step), '{}') into v_runs, v_steps
    from queue.count_off(v_runs, v_steps, v_ended, v_failed) c;
    if cardinality(v_runs) > 0 then
        perform queue.settle_steps(v_runs, v_steps);
    end if;
    return 1;
end $$;
comment on function queue.fold_tallies is
    'Counts what tallies say off their steps and settles those that are done; 0 where there was none. For schedulers, any number at once.';
