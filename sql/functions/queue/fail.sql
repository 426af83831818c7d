create or replace function queue.retry_policy(p_classes jsonb, p_class text) returns text language sql immutable as $$
    select k.name from jsonb_object_keys(p_classes) k (name)
    where k.name = p_class
       or right(k.name, 1) = '*' and starts_with(p_class, left(k.name, -1))
    order by k.name = p_class desc, length(k.name) desc
    limit 1
$$;
comment on function queue.retry_policy is
    'The name under which a step''s retry_classes have a policy for a class: its own, or the longest that ends in * and stands for it.';

create or replace function queue.fail_attempts(
    p_tasks bigint[], p_attempts bigint[], p_errors text[], p_final boolean[], p_retry_after_ms bigint[],
    p_classes text[])
returns bigint[] language plpgsql volatile as $$
declare
    v_won bigint[];
    v_runs uuid[];
    v_steps smallint[];
begin
    with won as (
        delete from queue.lease l
        using unnest(p_tasks, p_attempts) u (task_id, attempt_id)
        where l.task_id = u.task_id and l.attempt_id = u.attempt_id
        returning l.task_id, l.attempt_id, l.worker_id, l.claimed_at
    ), met as (
        select w.*, u.error, u.final, u.retry_after_ms, u.class, t.run_id, t.step, t.attempts, t.class_failures,
               s.attempts_max, s.backoff_base_ms, s.backoff_cap_ms, s.timeout_total_ms,
               case when s.timeout_total_ms is not null then coalesce(t.began_at, w.claimed_at) end as began_at,
               case when s.retry_classes is not null and u.class is not null
                    then queue.retry_policy(s.retry_classes, u.class) end as policy,
               s.retry_classes
        from won w
        -- by attempt too: one batch may hold a lost attempt at a task and the one that followed it
        join (
            -- a message may have come twice
            select distinct on (d.task_id, d.attempt_id) d.*
            from unnest(p_tasks, p_attempts, p_errors, p_final, p_retry_after_ms, p_classes)
                d (task_id, attempt_id, error, final, retry_after_ms, class)
        ) u using (task_id, attempt_id)
        join queue.task t on t.id = w.task_id
        join queue.step s on s.run_id = t.run_id and s.index = t.step
    ), counted as (
        -- what has a policy of its own counts for that alone
        select m.*, p.attempts as own_max, p.base_ms, p.cap_ms,
               case when m.policy is not null then coalesce((m.class_failures ->> m.policy)::int, 0)
                    when m.class_failures is null then m.attempts
                    else m.attempts - (select sum(f.failures::int) from jsonb_each_text(m.class_failures) f (name, failures))
               end as failures
        from met m
        left join lateral jsonb_to_record(m.retry_classes -> m.policy) p (attempts int, base_ms bigint, cap_ms bigint)
            on true
    ), timed as (
        select c.*, c.final or c.failures + 1 >= coalesce(c.own_max, c.attempts_max) as is_used_up,
               -- exponential back-off with full jitter (AWS Architecture Blog, 2015)
               case when c.retry_after_ms is not null then c.retry_after_ms::double precision
                    else random() * least(coalesce(c.cap_ms, c.backoff_cap_ms),
                                          coalesce(c.base_ms, c.backoff_base_ms) * power(2, least(c.failures, 40)))
               end as delay_ms
        from counted c
    ), judged as (
        select d.*, d.is_used_up or o.is_over as ends,
               d.error || case when not d.is_used_up and o.is_over
                   then format('; the task has no time left of the %s s that all its attempts may take', (d.timeout_total_ms / 1000.0)::float8)
                   else '' end as told
        from timed d
        cross join lateral (
            select coalesce(clock_timestamp() + d.delay_ms * interval '1 millisecond'
                >= d.began_at + d.timeout_total_ms * interval '1 millisecond', false) as is_over) o
    ), history as (
        insert into queue.attempt (task_id, attempt_id, worker_id, started_at, outcome, error, class)
        select j.task_id, j.attempt_id, j.worker_id, j.claimed_at,
               case when j.ends then 'failed' else 'retried' end::queue.attempt_outcome, j.told, j.class
        from judged j
    ), changed as (
        update queue.task t set
            attempts = j.attempts + 1, error = j.told, began_at = j.began_at,
            class_failures = case when j.policy is null then t.class_failures
                else coalesce(t.class_failures, '{}') || jsonb_build_object(j.policy, j.failures + 1) end,
            state = case when j.ends then 'failed' else 'delayed' end::queue.task_state,
            finished_at = case when j.ends then clock_timestamp() end
        from judged j where t.id = j.task_id
    ), waiting as (
        insert into queue.delayed (run_at, task_id)
        select clock_timestamp() + j.delay_ms * interval '1 millisecond', j.task_id from judged j where not j.ends
    )
    select array_agg(j.task_id), array_agg(j.run_id) filter (where j.ends), array_agg(j.step) filter (where j.ends)
    into v_won, v_runs, v_steps
    from judged j;
    -- a task that waits for its next attempt stands in nobody's way
    perform queue.leave(v_won);
    if v_runs is not null then
        select array_agg(c.run_id), array_agg(c.step) into v_runs, v_steps
        from queue.count_finished(v_runs, v_steps, array_fill(true, array[cardinality(v_runs)])) c;
        if v_runs is not null then
            perform queue.settle_steps(v_runs, v_steps);
        end if;
    end if;
    return coalesce(v_won, '{}');
end $$;
comment on function queue.fail_attempts is
    'Records failed attempts, fenced by attempt id: a task is tried again after a jittered delay, or fails for good, as its step says for the class of the error.';

create or replace function queue.fail(
    p_tasks bigint[], p_attempts bigint[], p_errors text[], p_final boolean[], p_retry_after_ms bigint[])
returns bigint[] language sql volatile as $$
    select queue.fail_attempts(
        p_tasks, p_attempts, p_errors, p_final, p_retry_after_ms, array_fill(null::text, array[cardinality(p_tasks)]))
$$;
comment on function queue.fail is 'What queue.fail_attempts does, for programs that know no classes of errors.';

create or replace function queue.stop_overdue() returns integer language plpgsql volatile as $$
declare
    v_tasks bigint[];
    v_attempts bigint[];
    v_errors text[];
begin
    if not exists (select 1 from queue.step s where s.timeout_total_ms is not null) then
        return 0;
    end if;
    -- workers stop such attempts by themselves; these are of workers that could not
    select array_agg(l.task_id), array_agg(l.attempt_id),
           array_agg(format('the task took longer than the %s s that all its attempts may take', (s.timeout_total_ms / 1000.0)::float8))
    into v_tasks, v_attempts, v_errors
    from queue.lease l
    join queue.task t on t.id = l.task_id and t.index >= 0
    join queue.step s on s.run_id = t.run_id and s.index = t.step
    where coalesce(t.began_at, l.claimed_at) + (s.timeout_total_ms + 2000) * interval '1 millisecond' < clock_timestamp();
    if v_tasks is null then
        return 0;
    end if;
    return cardinality(queue.fail_attempts(
        v_tasks, v_attempts, v_errors, array_fill(true, array[cardinality(v_tasks)]),
        array_fill(null::bigint, array[cardinality(v_tasks)]), array_fill('timeout'::text, array[cardinality(v_tasks)])));
end $$;
comment on function queue.stop_overdue is
    'Fails tasks whose attempts have used up their time, by the database''s clock; heartbeats tell their workers. Returns how many.';
