create or replace function queue.run_tree(p_run uuid) returns table (run_id uuid, finished_at timestamptz)
language sql stable as $$
    with recursive tree as (
        select r.id, r.finished_at from queue.run r where r.id = p_run
        union all
        select c.id, c.finished_at
        from tree p
        join queue.step s on s.run_id = p.id and s.kind = 'pipeline'
        join queue.task t on t.run_id = s.run_id and t.step = s.index
        join queue.run c on c.parent_task = t.id
    )
    select k.id, k.finished_at from tree k
$$;
comment on function queue.run_tree is 'A run with the sub-runs that it waited for, and theirs.';

create or replace function queue.mark_archived(
    p_runs uuid[], p_finished timestamptz[], p_digest bytea, p_size bigint)
returns boolean language plpgsql volatile as $$
declare
    v_locked integer;
begin
    perform set_config('lock_timeout', '1s', true);
    -- a retry locks its run too: whichever comes second sees what the first did
    select count(*) into v_locked from (
        select 1 from queue.run r
        join unnest(p_runs, p_finished) u (run_id, finished_at) on u.run_id = r.id and u.finished_at = r.finished_at
        order by r.id for update of r) l;
    if v_locked < cardinality(p_runs)
        or exists (select 1 from queue.archived_run a where a.run_id = any (p_runs))
        or exists (select 1 from queue.log l where l.run_id = any (p_runs)) then
        return false;
    end if;
    insert into queue.archived_run (
        run_id, pipeline, state, trigger, logical_date, dedup_key, is_sub_run, steps, failed_steps, created_at,
        finished_at, digest, size_bytes)
    select r.id, r.pipeline, r.state::text, r.trigger, r.logical_date, r.dedup_key, r.parent_task is not null,
           (select count(*) from queue.step s where s.run_id = r.id), r.failed_steps, r.created_at, r.finished_at,
           p_digest, p_size
    from queue.run r where r.id = any (p_runs);
    return true;
end $$;
comment on function queue.mark_archived is
    'Has an object count for ended runs, all or none of them: none where one is no longer as it was when the object was made.';

create or replace function queue.drop_attempts(p_tasks bigint[]) returns void language plpgsql volatile
-- one pass over the blocks that the range names, looked up in a hash: anything else is a pass for each task
set enable_nestloop = off
set enable_seqscan = off
as $$
declare
    v_first bigint;
    v_last bigint;
begin
    select min(u.id), max(u.id) into v_first, v_last from unnest(p_tasks) u (id);
    delete from queue.attempt a using unnest(p_tasks) u (id)
    where a.task_id = u.id and a.task_id between v_first and v_last;
end $$;
comment on function queue.drop_attempts is 'Drops the attempts at these tasks.';

create or replace function queue.drop_archived(p_rows integer) returns integer language plpgsql volatile as $$
declare
    v_run uuid;
    v_tasks bigint[];
    v_left integer := p_rows;
    v_steps integer;
begin
    -- whoever stands in the way is let pass; the next transaction tries again
    perform set_config('lock_timeout', '1s', true);
    for v_run in
        select a.run_id from queue.archived_run a where a.dropped_at is null
        order by a.archived_at limit 1000 for update skip locked
    loop
        with gone as (
            delete from queue.task t
            where t.ctid = any (array(select c.ctid from queue.task c where c.run_id = v_run limit v_left))
            returning t.id
        )
        select array_agg(g.id) into v_tasks from gone g;
        if v_tasks is not null then
            perform queue.drop_attempts(v_tasks);
            delete from queue.approval a where a.task_id = any (v_tasks);
            v_left := v_left - cardinality(v_tasks);
        end if;
        exit when v_left <= 0;
        delete from queue.attempt_log l where l.run_id = v_run;
        delete from queue.approval a where a.run_id = v_run;
        delete from queue.cancellation c where c.run_id = v_run;
        delete from queue.place l where l.run_id = v_run;
        delete from queue.tally t where t.run_id = v_run;
        delete from queue.step s where s.run_id = v_run;
        get diagnostics v_steps = row_count;
        delete from queue.run r where r.id = v_run;
        update queue.archived_run a set dropped_at = clock_timestamp() where a.run_id = v_run;
        v_left := v_left - v_steps - 1;
        exit when v_left <= 0;
    end loop;
    return p_rows - v_left;
end $$;
comment on function queue.drop_archived is
    'Drops about so many rows of runs that are objects; returns how many, 0 where none is left. For schedulers, any number at once.';
