create or replace function queue.retry_run(p_run uuid, p_from smallint[], p_only_failed boolean)
returns integer language plpgsql volatile as $$
declare
    v_first smallint[];
    v_whole smallint[];
    v_partly smallint[];
    v_pipeline text;
    v_goes_on boolean;
begin
    perform 1 from queue.run r where r.id = p_run and r.finished_at is not null for update;
    if not found or exists (select 1 from queue.archived_run a where a.run_id = p_run) then
        return 0;
    end if;
    -- what did not end well, and what was asked for
    select coalesce(array_agg(s.index), '{}') into v_first from queue.step s
    where s.run_id = p_run and (s.state in ('failed', 'upstream_failed', 'cancelled') or s.index = any (p_from));
    -- steps of which only the tasks that failed run again: those that have run, and that nothing runs again before
    with recursive below (index) as (
        select unnest(s.dependents) from queue.step s where s.run_id = p_run and s.index = any (v_first)
        union
        select unnest(s.dependents) from below b join queue.step s on s.run_id = p_run and s.index = b.index
    )
    select coalesce(array_agg(s.index) filter (where s.index = any (v_first) and b.index is null and not s.sequence
               and p_only_failed and s.state in ('failed', 'cancelled') and s.tasks_total > 0 and s.error is null
               and s.index <> all (p_from)
               -- of one that was not expanded to its end, tasks are missing
               and not exists (select 1 from queue.task t where t.run_id = p_run and t.step = s.index
                   and t.index = -1 and t.state <> 'succeeded')), '{}'),
           coalesce(array_agg(s.index), '{}')
    into v_partly, v_whole
    from queue.step s left join below b on b.index = s.index
    where s.run_id = p_run and (s.index = any (v_first) or b.index is not null);
    if v_whole = '{}' then
        return 0;
    end if;
    v_whole := array(select unnest(v_whole) except select unnest(v_partly));

    -- the runs that the old tasks waited for are runs of their own from now on
    update queue.run c set parent_task = null from queue.task t
    where c.parent_task = t.id and t.run_id = p_run
      and (t.step = any (v_whole) or t.step = any (v_partly) and t.state <> 'succeeded');
    delete from queue.approval a using queue.task t
    where t.id = a.task_id and t.run_id = p_run and (t.step = any (v_whole) or t.step = any (v_partly) and t.state <> 'succeeded');
    -- a fan-out that was found at run time is found anew: its list may be another one now
    delete from queue.task t using queue.step s
    where t.run_id = p_run and t.step = any (v_whole) and s.run_id = p_run and s.index = t.step and not s.planned;
    update queue.task t set
        state = 'blocked', attempts = 0, crashes = 0, outputs = null, error = null, finished_at = null,
        class_failures = null, began_at = null
    where t.run_id = p_run and t.step = any (v_whole);
    update queue.task t set
        state = 'queued', attempts = 0, crashes = 0, outputs = null, error = null, finished_at = null,
        class_failures = null, began_at = null
    where t.run_id = p_run and t.step = any (v_partly) and t.state in ('failed', 'cancelled') and t.index >= 0;
    -- ends that nobody has counted yet were those of the tasks as they stood before
    delete from queue.tally y where y.run_id = p_run;

    update queue.step s set
        state = 'waiting', error = null, started_at = null, finished_at = null, tasks_failed = 0, arguments = null,
        tasks_total = case when s.planned then s.tasks_total else 0 end,
        tasks_open = case when s.planned then s.tasks_total else 0 end,
        unmet = (select case when s.join_rule = 'any_success' and count(*) filter (where not n.again and n.is_good) > 0
                             then 0 else count(*) filter (where n.again) end
                 from (select n.index = any (v_whole) or n.index = any (v_partly) as again,
                              n.state in ('succeeded', 'skipped') as is_good
                       from queue.step n where n.run_id = p_run and s.index = any (n.dependents)) n)
    where s.run_id = p_run and s.index = any (v_whole);
    update queue.step s set
        state = 'running', finished_at = null, tasks_failed = 0,
        tasks_open = (select count(*) from queue.task t
                      where t.run_id = p_run and t.step = s.index and t.index >= 0 and t.finished_at is null)
    where s.run_id = p_run and s.index = any (v_partly);

    delete from queue.cancellation c where c.run_id = p_run;
    update queue.run r set
        state = 'running', finished_at = null, cancelled_at = null, outputs = null, failed_steps = 0,
        open_steps = cardinality(v_whole) + cardinality(v_partly)
    where r.id = p_run;
    -- it may have to wait for its pipeline again; a sub-run goes on where its parent does
    select r.pipeline, r.parent_task is not null into v_pipeline, v_goes_on from queue.run r where r.id = p_run;
    if v_goes_on or queue.take_place(p_run, v_pipeline) then
        perform queue.open_run(p_run);
    end if;
    return cardinality(v_whole) + cardinality(v_partly);
end $$;
comment on function queue.retry_run is
    'Runs the steps of an ended run again that did not end well, those in p_from, and everything after them; with p_only_failed, of steps that have run only the tasks that failed. Returns how many steps; 0 where there is nothing to do.';
