create or replace function queue.finish(
    p_tasks bigint[], p_attempts bigint[], p_outputs jsonb[], out won bigint[], out released integer)
language plpgsql volatile
-- for what it calls, too: planned once, for lookups by key
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    v_runs uuid[];
    v_steps smallint[];
    v_limited bigint[];
begin
    released := 0;
    with won as (
        -- outputs come along by attempt: one batch may hold a lost attempt at a task and the one that followed it
        delete from queue.lease l
        using unnest(p_tasks, p_attempts, p_outputs) u (task_id, attempt_id, outputs)
        where l.task_id = u.task_id and l.attempt_id = u.attempt_id
        returning l.task_id, l.attempt_id, l.worker_id, l.claimed_at, u.outputs
    ), history as (
        insert into queue.attempt (task_id, attempt_id, worker_id, started_at, outcome)
        select w.task_id, w.attempt_id, w.worker_id, w.claimed_at, 'succeeded' from won w
    ), done as (
        update queue.task t set state = 'succeeded', outputs = w.outputs, error = null, finished_at = clock_timestamp()
        from won w where t.id = w.task_id
        returning t.id, t.run_id, t.step, t.limit_key
    )
    select coalesce(array_agg(d.id), '{}'), array_agg(d.run_id), array_agg(d.step),
           array_agg(d.id) filter (where d.limit_key is not null)
    into won, v_runs, v_steps, v_limited from done d;
    if v_runs is null then
        return;
    end if;
    if v_limited is not null then
        released := queue.leave(v_limited);
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
