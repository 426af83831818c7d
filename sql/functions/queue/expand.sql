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
    v_open integer;
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
        -- what expand_part has inserted before is counted already
        tasks_open = case when s.state = 'expanding' then s.tasks_open + p_total - s.tasks_total else s.tasks_open end,
        tasks_total = p_total
    where s.run_id = v_run and s.index = v_step
    returning s.tasks_open into v_open;
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
        on conflict on constraint task_index_unique do nothing
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

    if p_skipped or v_open = 0 then
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

create or replace function queue.expand_part(
    p_task bigint, p_attempt bigint, p_first integer, p_count integer, p_arguments jsonb[], p_limit_keys text[],
    p_shared jsonb, p_is_last boolean)
returns boolean language plpgsql volatile as $$
declare
    v_run uuid;
    v_step smallint;
    v_pool smallint;
    v_priority smallint;
    v_is_free boolean;
    v_open integer;
    v_held bigint[];
begin
    -- whoever gives the lease to another waits for this part, and the other goes on behind it
    perform 1 from queue.lease l where l.task_id = p_task and l.attempt_id = p_attempt for update;
    if not found then
        return false;
    end if;
    select t.run_id, t.step, s.pool, r.priority, r.tenant is null and not r.is_paused
    into strict v_run, v_step, v_pool, v_priority, v_is_free
    from queue.task t
    join queue.step s on s.run_id = t.run_id and s.index = t.step
    join queue.run r on r.id = t.run_id
    where t.id = p_task;

    with fresh as (
        insert into queue.task (run_id, step, index, state, arguments, limit_key)
        select v_run, v_step, u.index, 'queued', u.arguments, u.limit_key
        -- arrays that are not there are filled up with nulls
        from rows from (generate_series(p_first, p_first + p_count - 1), unnest(p_arguments), unnest(p_limit_keys))
            u (index, arguments, limit_key)
        returning id, index, limit_key
    ), readied as (
        insert into queue.ready (pool, priority, task_id)
        select v_pool, v_priority, f.id from fresh f where v_is_free and f.limit_key is null order by f.index
    )
    select array_agg(f.id order by f.index) into v_held from fresh f where not v_is_free or f.limit_key is not null;
    if v_held is not null then
        perform queue.admit(v_held);
    end if;

    -- last, so that acknowledgements which count tasks off the step wait for the commit alone
    update queue.step s set
        tasks_total = s.tasks_total + p_count, tasks_open = s.tasks_open + p_count,
        arguments = coalesce(s.arguments, p_shared),
        state = case when p_is_last then 'running' else s.state end
    where s.run_id = v_run and s.index = v_step
    returning s.tasks_open into v_open;
    if p_is_last then
        perform queue.take_lease(p_task, p_attempt, 'succeeded');
        update queue.task t set state = 'succeeded', finished_at = clock_timestamp() where t.id = p_task;
        if v_open = 0 then
            perform queue.settle_steps(array[v_run], array[v_step]);
        end if;
    end if;
    return true;
end $$;
comment on function queue.expand_part is
    'Inserts the next part of a large fan-out, fenced by the expansion''s lease, which the last part acknowledges: until then the step stays expanding and cannot end, while tasks of earlier parts run. p_shared stands in for arguments that are the same for all.';

create or replace function queue.give_up_expansion(p_run uuid, p_step smallint, p_error text) returns void
language plpgsql volatile as $$
declare
    v_tasks bigint[];
    v_cancelled integer := 0;
    v_open integer;
begin
    -- of the parts that were inserted, what runs comes to its end; what has not begun never does
    with unclaimed as (
        delete from queue.ready d using queue.task t
        where t.run_id = p_run and t.step = p_step and t.index >= 0 and d.task_id = t.id returning d.task_id
    ), unadmitted as (
        delete from queue.waiting w using queue.task t
        where t.run_id = p_run and t.step = p_step and t.index >= 0 and w.task_id = t.id returning w.task_id
    ), unparked as (
        delete from queue.parked k using queue.task t
        where t.run_id = p_run and t.step = p_step and t.index >= 0 and k.task_id = t.id returning k.task_id
    ), undue as (
        delete from queue.delayed y using queue.task t
        where t.run_id = p_run and t.step = p_step and t.index >= 0 and y.task_id = t.id returning y.task_id
    ), gone as (
        select u.task_id from unclaimed u union all select u.task_id from unadmitted u
        union all select u.task_id from unparked u union all select u.task_id from undue u
    )
    select array_agg(g.task_id) into v_tasks from gone g;
    if v_tasks is not null then
        update queue.task t set state = 'cancelled', finished_at = clock_timestamp()
        where t.id = any (v_tasks) and t.finished_at is null;
        get diagnostics v_cancelled = row_count;
        perform queue.leave(v_tasks);
    end if;
    update queue.step s set
        error = p_error, state = 'running',
        tasks_open = case when s.sequence then 0 else s.tasks_open - v_cancelled end
    where s.run_id = p_run and s.index = p_step
    returning s.tasks_open into v_open;
    if v_open = 0 then
        perform queue.settle_steps(array[p_run], array[p_step]);
    end if;
end $$;
comment on function queue.give_up_expansion is
    'Lets a step fail that cannot be expanded to its end: at once, or when the last of its tasks that run has ended.';

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
    perform queue.give_up_expansion(v_run, v_step, p_error);
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
