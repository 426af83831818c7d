create or replace function queue.release_leases(p_tasks bigint[], p_attempts bigint[]) returns integer
language plpgsql volatile as $$
declare
    v_tasks bigint[];
begin
    with won as (
        delete from queue.lease l
        using unnest(p_tasks, p_attempts) u (task_id, attempt_id)
        where l.task_id = u.task_id and l.attempt_id = u.attempt_id
        returning l.*
    ), history as (
        insert into queue.attempt (task_id, attempt_id, worker_id, started_at, outcome)
        select w.task_id, w.attempt_id, w.worker_id, w.claimed_at, 'released' from won w
    )
    select array_agg(w.task_id) into v_tasks from won w;
    if v_tasks is null then
        return 0;
    end if;
    -- they keep their places under their limits
    perform queue.enter(v_tasks);
    return cardinality(v_tasks);
end $$;
comment on function queue.release_leases is 'Hands back tasks that were claimed and not finished; neither a failure nor a crash is counted.';
