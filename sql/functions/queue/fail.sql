create or replace function queue.fail(
    p_tasks bigint[], p_attempts bigint[], p_errors text[], p_final boolean[], p_retry_after_ms bigint[])
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
    ), judged as (
        select w.*, u.error, t.run_id, t.step, t.attempts + 1 as attempts,
               u.final or t.attempts + 1 >= s.attempts_max as ends,
               -- exponential back-off with full jitter (AWS Architecture Blog, 2015)
               case when u.retry_after_ms is not null then u.retry_after_ms::double precision
                    else random() * least(s.backoff_cap_ms, s.backoff_base_ms * power(2, least(t.attempts, 40))) end as delay_ms
        from won w
        -- by attempt too: one batch may hold a lost attempt at a task and the one that followed it
        join (
            -- a message may have come twice
            select distinct on (d.task_id, d.attempt_id) d.*
            from unnest(p_tasks, p_attempts, p_errors, p_final, p_retry_after_ms)
                d (task_id, attempt_id, error, final, retry_after_ms)
        ) u using (task_id, attempt_id)
        join queue.task t on t.id = w.task_id
        join queue.step s on s.run_id = t.run_id and s.index = t.step
    ), history as (
        insert into queue.attempt (task_id, attempt_id, worker_id, started_at, outcome, error)
        select j.task_id, j.attempt_id, j.worker_id, j.claimed_at,
               case when j.ends then 'failed' else 'retried' end::queue.attempt_outcome, j.error
        from judged j
    ), changed as (
        update queue.task t set
            attempts = j.attempts, error = j.error,
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
    if exists (select 1 from queue.admitted a where a.task_id = any (v_won)) then
        perform queue.leave(v_won);
    end if;
    if v_runs is not null then
        select array_agg(c.run_id), array_agg(c.step) into v_runs, v_steps
        from queue.count_finished(v_runs, v_steps, array_fill(true, array[cardinality(v_runs)])) c;
        if v_runs is not null then
            perform queue.settle_steps(v_runs, v_steps);
        end if;
    end if;
    return coalesce(v_won, '{}');
end $$;
comment on function queue.fail is
    'Records failed attempts, fenced by attempt id: a task is tried again after a jittered delay, or fails for good.';
