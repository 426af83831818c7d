create or replace function queue.break_deadlocks() returns bigint[] language plpgsql volatile as $$
declare
    v_stuck record;
    v_broken bigint[] := '{}';
    v_run uuid;
    v_step smallint;
    v_runs uuid[];
    v_steps smallint[];
begin
    for v_stuck in
        with recursive above as (
            select w.key, w.seq, w.task_id as waiter, r.parent_task as task_id
            from queue.waiting w join queue.task t on t.id = w.task_id join queue.run r on r.id = t.run_id
            where r.parent_task is not null
            union all
            select a.key, a.seq, a.waiter, r.parent_task
            from above a join queue.task t on t.id = a.task_id join queue.run r on r.id = t.run_id
            where r.parent_task is not null
        ), entangled as (
            select a.key, a.seq, a.waiter, a.task_id as holder
            from above a join queue.admitted h on h.task_id = a.task_id and h.key = a.key
        )
        select distinct on (e.key) e.key, e.waiter, e.holder, s.name as step, t.run_id
        from entangled e
        join queue.task t on t.id = e.holder
        join queue.step s on s.run_id = t.run_id and s.index = t.step
        where not exists (
            -- whoever holds a place and waits for none gives it up one day
            select from queue.admitted h
            where h.key = e.key
              and not exists (select from entangled o where o.key = h.key and o.holder = h.task_id))
        order by e.key, e.seq
    loop
        -- a place that was given up in the meantime is the first waiter's: nothing is stuck any more
        perform 1 from queue.gate g where g.key = v_stuck.key for no key update;
        continue when not exists (
            select from queue.admitted h where h.key = v_stuck.key and h.task_id = v_stuck.holder);
        delete from queue.waiting w where w.key = v_stuck.key and w.task_id = v_stuck.waiter;
        continue when not found;
        update queue.task t set
            state = 'failed', finished_at = clock_timestamp(),
            error = format(
                'it would wait for ever for a place under the limit %s: step %s of run %s, which waits for this run, holds it; '
                'give one of the two steps another key, or the limit more concurrency',
                to_json(v_stuck.key), v_stuck.step, v_stuck.run_id)
        where t.id = v_stuck.waiter returning t.run_id, t.step into strict v_run, v_step;
        v_broken := v_broken || v_stuck.waiter;
        select array_agg(c.run_id), array_agg(c.step) into v_runs, v_steps
        from queue.count_finished(array[v_run], array[v_step], array[true]) c;
        if v_runs is not null then
            perform queue.settle_steps(v_runs, v_steps);
        end if;
    end loop;
    return v_broken;
end $$;
comment on function queue.break_deadlocks is
    'Fails one task of each limit whose places are all held by steps that wait for sub-runs which wait there themselves.';
