create or replace function queue.open_run(p_run uuid) returns void language plpgsql volatile
set plan_cache_mode = force_generic_plan set join_collapse_limit = 1
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_told bigint[];
    v_roots smallint[];
    v_idle smallint[];
begin
    -- those of a run that runs again, of whose steps some had got through in part
    select array_agg(t.id order by t.id) into v_told from queue.task t where t.run_id = p_run and t.state = 'queued';
    if v_told is not null then
        perform queue.admit(v_told);
    end if;
    select array_agg(s.index order by s.index),
           array_agg(s.index order by s.index) filter (where s.planned and s.tasks_open = 0)
    into v_roots, v_idle
    from queue.step s where s.run_id = p_run and s.unmet = 0 and s.state = 'waiting';
    if v_roots is null then
        return;
    end if;
    perform queue.release_steps(array_fill(p_run, array[cardinality(v_roots)]), v_roots);
    if v_idle is not null then
        perform queue.settle_steps(array_fill(p_run, array[cardinality(v_idle)]), v_idle);
    end if;
end $$;
comment on function queue.open_run is 'Releases what a run begins with, or begins again with: nothing of it may be on its way yet.';

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
