-- The settings of this function are those of queue.take, for its reasons.
create or replace function queue.break_deadlock() returns bigint language plpgsql volatile
set plan_cache_mode = force_generic_plan set join_collapse_limit = 1
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_key text;
    v_capacity integer;
    v_stuck record;
    v_run uuid;
    v_step smallint;
    v_runs uuid[];
    v_steps smallint[];
begin
    for v_key in
        -- from those that hold a place while they wait, which are few
        select distinct h.key from queue.admitted h join queue.task t on t.id = h.task_id
        where t.state = 'waiting' and exists (select from queue.waiting w where w.key = h.key)
        order by h.key
    loop
        -- nobody comes in while the gate is locked, so that the next statement sees all who are inside
        select g.capacity into v_capacity from queue.gate g where g.key = v_key for no key update;
        with recursive above as (
            select w.seq, w.task_id as waiter, r.parent_task as task_id
            from queue.waiting w
            join queue.task t on t.id = w.task_id
            join queue.run r on r.id = t.run_id
            where w.key = v_key and r.parent_task is not null
            union all
            select a.seq, a.waiter, r.parent_task
            from above a join queue.task t on t.id = a.task_id join queue.run r on r.id = t.run_id
            where r.parent_task is not null
        ), entangled as (
            select a.seq, a.waiter, h.task_id as holder
            from above a join queue.admitted h on h.task_id = a.task_id and h.key = v_key
        ), holders as (
            select distinct e.holder from entangled e
        )
        select e.waiter, s.name as step, t.run_id into v_stuck
        from entangled e
        join queue.task t on t.id = e.holder
        join queue.step s on s.run_id = t.run_id and s.index = t.step
        -- where there is room, the gate has yet to be opened; and whoever is inside and has nobody below who waits here
        -- gives its place up one day
        where v_capacity <= (select count(*) from queue.admitted h where h.key = v_key)
          and not exists (
            select from queue.admitted h
            where h.key = v_key and not exists (select from holders o where o.holder = h.task_id))
        order by e.seq limit 1;
        continue when not found;

        -- a cancellation may have been first
        delete from queue.waiting w where w.key = v_key and w.task_id = v_stuck.waiter;
        continue when not found;
        update queue.task t set
            state = 'failed', finished_at = clock_timestamp(),
            error = format(
                'it would wait for ever for a place under the limit %s: step %s of run %s, which waits for this run, holds it; '
                'give one of the two steps another key, or the limit more concurrency',
                to_json(v_key), v_stuck.step, v_stuck.run_id)
        where t.id = v_stuck.waiter returning t.run_id, t.step into strict v_run, v_step;
        select array_agg(c.run_id), array_agg(c.step) into v_runs, v_steps
        from queue.count_finished(array[v_run], array[v_step], array[true]) c;
        if v_runs is not null then
            perform queue.settle_steps(v_runs, v_steps);
        end if;
        -- one at a time: that has locked runs, and gates are locked before runs are
        return v_stuck.waiter;
    end loop;
    return null;
end $$;
comment on function queue.break_deadlock is
    'Fails a task that waits for a limit whose places are all held by steps that wait for sub-runs which wait there themselves; null where there is none.';
