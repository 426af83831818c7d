create or replace function queue.reap(p_lease_seconds double precision, p_crashes_max integer)
returns table (task_id bigint, dead boolean)
language plpgsql volatile as $$
#variable_conflict use_column
declare
    v_workers uuid[];
    v_tasks bigint[];
    v_dead boolean[];
    v_runs uuid[];
    v_steps smallint[];
begin
    select coalesce(array_agg(d.id), '{}') into v_workers from (
        select w.id from queue.worker w
        where w.last_seen < clock_timestamp() - p_lease_seconds * interval '1 second'
        for update skip locked) d;
    delete from queue.worker w where w.id = any (v_workers);

    with lost as (
        delete from queue.lease l
        where l.worker_id = any (v_workers)
           or (not exists (select 1 from queue.worker w where w.id = l.worker_id)
               and l.claimed_at < clock_timestamp() - p_lease_seconds * interval '1 second')
        returning l.*
    ), history as (
        insert into queue.attempt (task_id, attempt_id, worker_id, started_at, outcome, error)
        select l.task_id, l.attempt_id, l.worker_id, l.claimed_at, 'lost', 'the worker stopped beating' from lost l
    ), counted as (
        select l.task_id, s.timeout_total_ms is not null as is_timed, l.claimed_at, t.crashes + 1 as crashes,
               t.crashes + 1 >= coalesce((s.retry_classes -> 'crashed' ->> 'attempts')::int, p_crashes_max) as is_dead
        from lost l
        join queue.task t on t.id = l.task_id
        join queue.step s on s.run_id = t.run_id and s.index = t.step
    ), changed as (
        update queue.task t set
            crashes = c.crashes,
            began_at = case when c.is_timed then coalesce(t.began_at, c.claimed_at) end,
            state = case when c.is_dead then 'failed'::queue.task_state else t.state end,
            error = case when c.is_dead
                then format('its worker died %s times while running it', c.crashes) else t.error end,
            finished_at = case when c.is_dead then clock_timestamp() end
        from counted c where t.id = c.task_id
        returning t.id, t.state = 'failed' as dead
    )
    select array_agg(c.id order by c.id), array_agg(c.dead order by c.id) into v_tasks, v_dead from changed c;
    if v_tasks is null then
        return;
    end if;

    perform queue.enter(array(select u.task_id from unnest(v_tasks, v_dead) u (task_id, dead) where not u.dead));
    perform queue.leave(array(select u.task_id from unnest(v_tasks, v_dead) u (task_id, dead) where u.dead));

    perform queue.give_up_expansion(t.run_id, t.step, 'the scheduler died while expanding this step')
    from unnest(v_tasks, v_dead) u (task_id, dead) join queue.task t on t.id = u.task_id
    where u.dead and t.index = -1;

    select array_agg(c.run_id), array_agg(c.step) into v_runs, v_steps
    from (
        select coalesce(array_agg(t.run_id), '{}') as runs, coalesce(array_agg(t.step), '{}') as steps,
               coalesce(array_agg(true), '{}') as failed
        from unnest(v_tasks, v_dead) u (task_id, dead) join queue.task t on t.id = u.task_id
        where u.dead and t.index >= 0
    ) d cross join queue.count_finished(d.runs, d.steps, d.failed) c;
    if v_runs is not null then
        perform queue.settle_steps(v_runs, v_steps);
    end if;
    return query select u.task_id, u.dead from unnest(v_tasks, v_dead) u (task_id, dead);
end $$;
comment on function queue.reap is
    'Takes the leases of workers that stopped beating: their tasks are ready again, or fail once they have killed too many workers.';
