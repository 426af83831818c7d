create or replace function queue.take_lease(p_task bigint, p_attempt bigint, p_outcome queue.attempt_outcome)
returns boolean language plpgsql volatile as $$
begin
    with won as (
        delete from queue.lease l where l.task_id = p_task and l.attempt_id = p_attempt returning l.*
    )
    insert into queue.attempt (task_id, attempt_id, worker_id, started_at, outcome)
    select w.task_id, w.attempt_id, w.worker_id, w.claimed_at, p_outcome from won w;
    return found;
end $$;
comment on function queue.take_lease is 'Ends one attempt, fenced; false when the lease is no longer this caller''s.';

create or replace function queue.expand(
    p_task bigint, p_attempt bigint, p_skipped boolean, p_total integer, p_indexes integer[], p_arguments jsonb[],
    p_limit_keys text[])
returns boolean language plpgsql volatile as $$
declare
    v_run uuid;
    v_step smallint;
    v_comes_back boolean;
    v_held bigint[];
begin
    if not queue.take_lease(p_task, p_attempt, 'succeeded') then
        return false;
    end if;
    select t.run_id, t.step into strict v_run, v_step from queue.task t where t.id = p_task;
    perform 1 from queue.step s where s.run_id = v_run and s.index = v_step for no key update;

    update queue.step s set
        state = case when p_skipped then 'skipped' else 'running' end::queue.step_state,
        finished_at = case when p_skipped then clock_timestamp() end,
        tasks_open = case when s.state = 'expanding' then p_total else s.tasks_open end,
        tasks_total = p_total
    where s.run_id = v_run and s.index = v_step;
    -- the expansion of a sequence comes back for every item but the last
    v_comes_back := p_total > 0 and p_indexes[cardinality(p_indexes)] < p_total - 1;
    update queue.task t set
        state = case when v_comes_back then 'waiting' else 'succeeded' end::queue.task_state,
        finished_at = case when v_comes_back then null else clock_timestamp() end
    where t.id = p_task;

    with fresh as (
        insert into queue.task (run_id, step, index, state, arguments, limit_key)
        select v_run, v_step, u.index, 'queued', u.arguments, u.limit_key
        from unnest(p_indexes, p_arguments, p_limit_keys) u (index, arguments, limit_key)
        returning id, index, limit_key
    ), placed as (
        select f.id, f.index, s.pool, r.priority, f.limit_key is null and r.tenant is null and not r.is_paused as is_free
        from fresh f
        join queue.step s on s.run_id = v_run and s.index = v_step
        join queue.run r on r.id = v_run
    ), readied as (
        insert into queue.ready (pool, priority, task_id)
        select p.pool, p.priority, p.id from placed p where p.is_free order by p.index
    )
    select array_agg(p.id) filter (where not p.is_free) into v_held from placed p;
    if v_held is not null then
        perform queue.admit(v_held);
    end if;

    if p_skipped or p_total = 0 then
        perform queue.settle_steps(array[v_run], array[v_step]);
    end if;
    return true;
end $$;
comment on function queue.expand is
    'The scheduler''s acknowledgement of an expansion: the fan-out''s size and tasks are recorded in one transaction, fenced.';

create or replace function queue.expand_step(
    p_task bigint, p_attempt bigint, p_skipped boolean, p_total integer, p_indexes integer[], p_arguments jsonb[])
returns boolean language sql volatile as $$
    select queue.expand(
        p_task, p_attempt, p_skipped, p_total, p_indexes, p_arguments, array_fill(null::text, array[cardinality(p_indexes)]))
$$;
comment on function queue.expand_step is 'What queue.expand does, for programs of the version before it.';

create or replace function queue.fail_expansion(p_task bigint, p_attempt bigint, p_error text) returns boolean
language plpgsql volatile as $$
declare
    v_run uuid;
    v_step smallint;
begin
    if not queue.take_lease(p_task, p_attempt, 'failed') then
        return false;
    end if;
    update queue.task t set state = 'failed', error = p_error, finished_at = clock_timestamp()
    where t.id = p_task returning t.run_id, t.step into strict v_run, v_step;
    update queue.step s set error = p_error, tasks_open = 0 where s.run_id = v_run and s.index = v_step;
    perform queue.settle_steps(array[v_run], array[v_step]);
    return true;
end $$;
comment on function queue.fail_expansion is 'Fails a step whose expressions cannot be evaluated.';

create or replace function queue.publish_outputs(p_task bigint, p_attempt bigint, p_outputs jsonb) returns boolean
language plpgsql volatile as $$
declare
    v_run uuid;
    v_step smallint;
begin
    if not queue.take_lease(p_task, p_attempt, 'succeeded') then
        return false;
    end if;
    update queue.task t set state = 'succeeded', outputs = p_outputs, finished_at = clock_timestamp()
    where t.id = p_task returning t.run_id, t.step into strict v_run, v_step;
    update queue.run r set outputs = p_outputs where r.id = v_run;
    update queue.step s set state = 'running' where s.run_id = v_run and s.index = v_step;
    perform queue.settle_steps(array[v_run], array[v_step]);
    return true;
end $$;
comment on function queue.publish_outputs is 'Ends the implicit step @outputs: what it evaluated becomes the run''s outputs.';
