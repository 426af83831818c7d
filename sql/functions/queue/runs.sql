create or replace function queue.open_run(p_run uuid) returns void language plpgsql volatile
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    v_roots smallint[];
    v_idle smallint[];
begin
    select array_agg(s.index order by s.index),
           array_agg(s.index order by s.index) filter (where s.planned and s.tasks_open = 0)
    into v_roots, v_idle
    from queue.step s where s.run_id = p_run and s.unmet = 0;
    perform queue.release_steps(array_fill(p_run, array[cardinality(v_roots)]), v_roots);
    if v_idle is not null then
        perform queue.settle_steps(array_fill(p_run, array[cardinality(v_idle)]), v_idle);
    end if;
end $$;
comment on function queue.open_run is 'Releases the steps of a new run that need no other.';

create or replace function queue.await_child(p_task bigint, p_attempt bigint) returns boolean language plpgsql volatile as $$
begin
    if not queue.take_lease(p_task, p_attempt, 'waiting') then
        return false;
    end if;
    update queue.task t set state = 'waiting' where t.id = p_task;
    return true;
end $$;
comment on function queue.await_child is
    'Parks a task until the run that has it as its parent ends; fenced, and in the transaction that starts that run.';
