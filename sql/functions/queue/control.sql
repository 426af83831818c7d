-- What operators do to runs: hold them back, stop them, answer them.

create or replace function queue.take_place(p_run uuid, p_pipeline text) returns boolean language plpgsql volatile as $$
declare
    v_pipeline queue.pipeline;
    v_waits boolean;
begin
    select p.* into v_pipeline from queue.pipeline p where p.name = p_pipeline;
    if not found or not v_pipeline.is_paused and v_pipeline.runs_max is null then
        return true;
    end if;
    select p.* into v_pipeline from queue.pipeline p where p.name = p_pipeline for no key update;
    v_waits := v_pipeline.is_paused
        or (select count(*) from queue.place l where l.pipeline = p_pipeline) >= coalesce(v_pipeline.runs_max, 2147483647);
    if v_waits or v_pipeline.runs_max is not null then
        insert into queue.place (run_id, pipeline, is_waiting) values (p_run, p_pipeline, v_waits);
    end if;
    if v_waits then
        update queue.run set state = 'queued' where id = p_run;
    end if;
    return not v_waits;
end $$;
comment on function queue.take_place is 'Whether a new run may go on at once; otherwise it waits for its pipeline.';

create or replace function queue.start_queued(p_pipeline text) returns integer language plpgsql volatile as $$
declare
    v_pipeline queue.pipeline;
    v_run uuid;
    v_started integer := 0;
begin
    select p.* into v_pipeline from queue.pipeline p where p.name = p_pipeline for no key update;
    while not v_pipeline.is_paused
        and (select count(*) from queue.place l where l.pipeline = p_pipeline and not l.is_waiting)
            < coalesce(v_pipeline.runs_max, 2147483647) loop
        select l.run_id into v_run from queue.place l
        where l.pipeline = p_pipeline and l.is_waiting order by l.seq limit 1;
        exit when not found;
        if v_pipeline.runs_max is null then
            delete from queue.place l where l.run_id = v_run;
        else
            update queue.place l set is_waiting = false where l.run_id = v_run;
        end if;
        update queue.run r set state = 'running' where r.id = v_run and r.state = 'queued';
        if found then
            -- of one that was told to stop, the sweep opens what there is to open
            perform queue.open_run(r.id) from queue.run r where r.id = v_run and r.cancelled_at is null;
            v_started := v_started + 1;
        end if;
    end loop;
    return v_started;
end $$;
comment on function queue.start_queued is 'Starts runs that waited for their pipeline, as many as it has room for; returns how many.';

create or replace function queue.give_place(p_runs uuid[]) returns void language plpgsql volatile as $$
declare
    v_pipelines text[];
begin
    with gone as (
        delete from queue.place l where l.run_id = any (p_runs) returning l.pipeline
    )
    select array_agg(distinct g.pipeline order by g.pipeline) into v_pipelines from gone g;
    if v_pipelines is not null then
        perform queue.start_queued(u.name) from unnest(v_pipelines) u (name);
    end if;
end $$;
comment on function queue.give_place is 'Gives the places of runs that ended to those that wait for them.';

create or replace function queue.pause_run(p_run uuid) returns boolean language plpgsql volatile as $$
begin
    update queue.run r set is_paused = true where r.id = p_run and r.finished_at is null and not r.is_paused;
    return found;
end $$;
comment on function queue.pause_run is 'Holds a run back; park_paused takes what is ready already.';

create or replace function queue.park_paused() returns integer language plpgsql volatile as $$
declare
    v_parked integer;
    v_left bigint[];
begin
    -- parked by a transaction that had not yet seen its run go on
    with left_over as (
        delete from queue.parked k using queue.task t, queue.run r
        where t.id = k.task_id and r.id = t.run_id and not r.is_paused
        returning k.task_id
    )
    select array_agg(l.task_id order by l.task_id) into v_left from left_over l;
    if v_left is not null then
        perform queue.enter(v_left);
    end if;
    if not exists (select 1 from queue.run r where r.is_paused) then
        return 0;
    end if;
    with paused as (
        delete from queue.ready d
        where d.ctid = any (array(
            select c.ctid from queue.ready c
            join queue.task t on t.id = c.task_id join queue.run r on r.id = t.run_id
            where r.is_paused for update of c skip locked))
        returning d.task_id
    )
    insert into queue.parked (task_id) select p.task_id from paused p on conflict do nothing;
    get diagnostics v_parked = row_count;
    return v_parked;
end $$;
comment on function queue.park_paused is
    'Takes ready tasks of paused runs out of the queue, and puts back what was parked as its run went on; a reconciler.';

create or replace function queue.resume_run(p_run uuid) returns boolean language plpgsql volatile as $$
declare
    v_tasks bigint[];
begin
    update queue.run r set is_paused = false where r.id = p_run and r.is_paused;
    if not found then
        return false;
    end if;
    with woken as (
        delete from queue.parked k using queue.task t where t.id = k.task_id and t.run_id = p_run returning k.task_id
    )
    select array_agg(w.task_id order by w.task_id) into v_tasks from woken w;
    if v_tasks is not null then
        perform queue.enter(v_tasks);
    end if;
    return true;
end $$;
comment on function queue.resume_run is 'Lets a paused run go on.';

create or replace function queue.request_cancellation(p_run uuid) returns boolean language plpgsql volatile as $$
begin
    update queue.run r set cancelled_at = clock_timestamp()
    where r.id = p_run and r.finished_at is null and r.cancelled_at is null;
    if not found then
        return false;
    end if;
    insert into queue.cancellation (run_id) values (p_run) on conflict do nothing;
    return true;
end $$;
comment on function queue.request_cancellation is
    'Tells a run to stop. It must commit before sweep_cancelled, which does the work; so whatever is on its way meanwhile is swept too.';

create or replace function queue.sweep_cancelled() returns integer language plpgsql volatile as $$
declare
    v_runs uuid[];
    v_tasks bigint[];
    v_lost bigint[];
    v_steps_runs uuid[];
    v_steps smallint[];
begin
    -- sub-runs stop with the run that waits for them
    with recursive tree as (
        select c.run_id from queue.cancellation c
        union
        select k.id from tree p
        join queue.task t on t.run_id = p.run_id and t.state in ('waiting', 'cancelled')
        join queue.step s on s.run_id = t.run_id and s.index = t.step and not s.is_finally
        join queue.run k on k.parent_task = t.id
        where k.finished_at is null
    ), marked as (
        update queue.run r set cancelled_at = coalesce(r.cancelled_at, clock_timestamp())
        where r.id in (select t.run_id from tree t) and r.finished_at is null and r.cancelled_at is null
        returning r.id
    )
    select coalesce(array_agg(t.run_id), '{}') into v_runs from tree t;
    delete from queue.cancellation c using queue.run r
    where r.id = c.run_id and r.finished_at < clock_timestamp() - interval '1 minute';
    if v_runs = '{}' then
        return 0;
    end if;

    select array_agg(t.id) into v_tasks
    from queue.task t
    join queue.step s on s.run_id = t.run_id and s.index = t.step
    join queue.run r on r.id = t.run_id
    where t.run_id = any (v_runs) and not s.is_finally and r.cancelled_at is not null
      and (t.finished_at is null or t.state = 'cancelled');
    -- the same order as an acknowledgement's: leases, tasks, steps, runs
    with gone as (
        delete from queue.lease l where l.task_id = any (v_tasks) returning l.*
    ), history as (
        insert into queue.attempt (task_id, attempt_id, worker_id, started_at, outcome, error)
        select g.task_id, g.attempt_id, g.worker_id, g.claimed_at, 'cancelled', 'the run was cancelled' from gone g
    )
    select array_agg(g.task_id) into v_lost from gone g;
    delete from queue.ready d where d.task_id = any (v_tasks);
    delete from queue.delayed d where d.task_id = any (v_tasks);
    delete from queue.waiting w where w.task_id = any (v_tasks);
    delete from queue.parked k where k.task_id = any (v_tasks);
    update queue.task t set state = 'cancelled', finished_at = clock_timestamp()
    where t.id = any (v_tasks) and t.finished_at is null;
    update queue.approval a set
        decision = 'rejected', decided_at = clock_timestamp(), decided_by = 'cancellation', reason = 'the run was cancelled'
    where a.task_id = any (v_tasks) and a.decision is null;
    perform queue.leave(v_tasks);

    with stopped as (
        update queue.step s set state = 'cancelled', finished_at = clock_timestamp()
        from queue.run r
        where r.id = s.run_id and r.id = any (v_runs) and r.cancelled_at is not null
          and s.finished_at is null and not s.is_finally
        returning s.run_id, s.index
    )
    select array_agg(s.run_id order by s.run_id, s.index), array_agg(s.index order by s.run_id, s.index)
    into v_steps_runs, v_steps from stopped s;
    if v_steps is not null then
        perform queue.settle_steps(v_steps_runs, v_steps);
    end if;
    return coalesce(cardinality(v_steps), 0) + coalesce(cardinality(v_lost), 0);
end $$;
comment on function queue.sweep_cancelled is
    'Stops everything of cancelled runs but their finally steps: leases go, so that heartbeats stop the attempts. A reconciler; 0 where there was nothing to do.';

create or replace function queue.await_approval(
    p_task bigint, p_attempt bigint, p_prompt text, p_timeout_ms bigint, p_on_timeout queue.decision)
returns boolean language plpgsql volatile as $$
begin
    if not queue.take_lease(p_task, p_attempt, 'waiting') then
        return false;
    end if;
    update queue.task t set state = 'waiting' where t.id = p_task;
    insert into queue.approval (task_id, run_id, step, prompt, due_at, on_timeout)
    select t.id, t.run_id, t.step, p_prompt,
           clock_timestamp() + p_timeout_ms * interval '1 millisecond', p_on_timeout
    from queue.task t where t.id = p_task;
    return true;
end $$;
comment on function queue.await_approval is 'Parks a task until a person, or the time-out, decides; it holds no worker.';

create or replace function queue.decide(p_tasks bigint[], p_decision queue.decision, p_by text, p_reason text)
returns bigint[] language plpgsql volatile as $$
declare
    v_tasks bigint[];
    v_runs uuid[];
    v_steps smallint[];
begin
    with decided as (
        update queue.approval a set
            decision = p_decision, decided_at = clock_timestamp(), decided_by = p_by, reason = p_reason
        where a.task_id = any (p_tasks) and a.decision is null
        returning a.task_id
    ), answered as (
        update queue.task t set
            state = case p_decision when 'approved' then 'succeeded' else 'failed' end::queue.task_state,
            outputs = case p_decision when 'approved' then jsonb_build_object('approved_by', p_by, 'reason', p_reason) end,
            error = case p_decision when 'rejected'
                then format('rejected by %s', p_by) || coalesce(': ' || p_reason, '') end,
            finished_at = clock_timestamp()
        from decided d where t.id = d.task_id and t.state = 'waiting'
        returning t.id, t.run_id, t.step
    )
    select coalesce(array_agg(a.id), '{}'), array_agg(a.run_id), array_agg(a.step)
    into v_tasks, v_runs, v_steps from answered a;
    if v_runs is not null then
        perform queue.leave(v_tasks);
        select array_agg(c.run_id), array_agg(c.step) into v_runs, v_steps
        from queue.count_finished(v_runs, v_steps, array_fill(p_decision = 'rejected', array[cardinality(v_tasks)])) c;
        if v_runs is not null then
            perform queue.settle_steps(v_runs, v_steps);
        end if;
    end if;
    return v_tasks;
end $$;
comment on function queue.decide is 'Answers approvals that are open; returns the tasks that this answered.';

create or replace function queue.expire_approvals() returns integer language plpgsql volatile as $$
declare
    v_tasks bigint[];
    v_decision queue.decision;
    v_expired integer := 0;
begin
    foreach v_decision in array '{approved,rejected}'::queue.decision[] loop
        select array_agg(a.task_id) into v_tasks from queue.approval a
        where a.decision is null and a.due_at <= clock_timestamp() and a.on_timeout = v_decision;
        if v_tasks is not null then
            v_expired := v_expired + cardinality(queue.decide(v_tasks, v_decision, 'time-out', 'nobody answered in time'));
        end if;
    end loop;
    return v_expired;
end $$;
comment on function queue.expire_approvals is 'Decides what nobody has answered in time; returns how many.';
