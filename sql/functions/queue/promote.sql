create or replace function queue.promote_due(p_limit integer) returns integer language plpgsql volatile as $$
declare
    v_tasks bigint[];
begin
    with due as (
        delete from queue.delayed d
        where d.ctid = any (array(
            select c.ctid from queue.delayed c where c.run_at <= clock_timestamp()
            order by c.run_at limit p_limit for update skip locked))
        returning d.task_id
    )
    select array_agg(d.task_id) into v_tasks from due d;
    if v_tasks is null then
        return 0;
    end if;
    update queue.task t set state = 'queued' where t.id = any (v_tasks);
    perform queue.admit(v_tasks);
    return cardinality(v_tasks);
end $$;
comment on function queue.promote_due is 'Makes retries ready whose time has come.';
