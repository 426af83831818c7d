create or replace function queue.held_leases(p_tasks bigint[], p_attempts bigint[]) returns tid[]
language sql stable as $$
    -- `offset 0`: looked up one by one, whatever statistics say of a table that is empty whenever it is analysed
    select array(
        select l.place from unnest(p_tasks, p_attempts) u (task_id, attempt_id)
        cross join lateral (
            select k.ctid as place from queue.lease k
            where k.task_id = u.task_id and k.attempt_id = u.attempt_id offset 0) l)
$$;
comment on function queue.held_leases is
    'Where the leases are that these attempts still hold. For deleting them in the same statement: a lease is never updated, so that it does not move.';

create or replace function queue.finish(
    p_tasks bigint[], p_attempts bigint[], p_outputs jsonb[], out won bigint[], out released integer)
language plpgsql volatile
-- as queue.take
set plan_cache_mode = force_generic_plan set join_collapse_limit = 1
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_attempts bigint[];
    v_outputs jsonb[] := p_outputs;
    v_runs uuid[];
    v_steps smallint[];
    v_limited bigint[];
    v_keys text[];
begin
    released := 0;
    with gone as (
        delete from queue.lease l where l.ctid = any (queue.held_leases(p_tasks, p_attempts))
        returning l.task_id, l.attempt_id, l.worker_id, l.claimed_at
    ), history as (
        insert into queue.attempt (task_id, attempt_id, worker_id, started_at, outcome)
        select g.task_id, g.attempt_id, g.worker_id, g.claimed_at, 'succeeded' from gone g
    )
    select coalesce(array_agg(g.task_id), '{}'), array_agg(g.attempt_id) into won, v_attempts from gone g;
    if won = '{}' then
        return;
    end if;
    if cardinality(won) = cardinality(p_tasks) then
        won := p_tasks;
    else
        -- by attempt: one batch may hold a lost attempt at a task and the one that followed it, or a message twice
        select array_agg(u.task_id), array_agg(u.outputs) into won, v_outputs
        from (
            select distinct on (d.task_id) d.task_id, d.outputs
            from unnest(p_tasks, p_attempts, p_outputs) d (task_id, attempt_id, outputs)
            where d.attempt_id = any (v_attempts)
        ) u;
    end if;
    with done as (
        update queue.task t set
            state = 'succeeded', outputs = v_outputs[array_position(won, t.id)], error = null,
            finished_at = clock_timestamp()
        where t.id = any (won)
        returning t.id, t.run_id, t.step, t.limit_key
    )
    select array_agg(d.run_id), array_agg(d.step),
           array_agg(d.id) filter (where d.limit_key is not null),
           array_agg(d.limit_key) filter (where d.limit_key is not null)
    into v_runs, v_steps, v_limited, v_keys from done d;
    if v_limited is not null then
        released := queue.leave_places(v_limited, v_keys);
    end if;
    select array_agg(c.run_id), array_agg(c.step) into v_runs, v_steps
    from queue.count_finished(v_runs, v_steps, array_fill(false, array[cardinality(won)])) c;
    if v_runs is not null then
        released := released + queue.settle_steps(v_runs, v_steps);
    end if;
end $$;
comment on function queue.finish is
    'Acknowledges successes, fenced by attempt id; returns the tasks that were still this caller''s, and how many others became ready.';

create or replace function queue.complete(p_tasks bigint[], p_attempts bigint[], p_outputs jsonb[])
returns bigint[] language sql volatile as $$
    select f.won from queue.finish(p_tasks, p_attempts, p_outputs) f
$$;
comment on function queue.complete is 'What queue.finish does, for programs of the version before it.';
