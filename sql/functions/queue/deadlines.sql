create or replace function queue.pass_deadlines(p_limit integer)
returns table (
    alert_id bigint, run_id uuid, pipeline text, logical_date date, due_at timestamptz, state queue.run_state,
    cancelled boolean, hook jsonb)
language plpgsql volatile as $$
#variable_conflict use_column
begin
    return query
    with due as (
        delete from queue.deadline d
        where d.run_id = any (array(
            select c.run_id from queue.deadline c where c.due_at <= clock_timestamp()
            order by c.due_at limit p_limit for update skip locked))
        returning d.*
    ), late as (
        select d.*, r.pipeline, r.logical_date, r.state
        from due d join queue.run r on r.id = d.run_id where r.finished_at is null
    ), raised as (
        insert into queue.alert as a (run_id, kind, due_at, cancelled, hook_pipeline)
        select l.run_id, 'deadline', l.due_at, l.cancels, l.hook ->> 'run' from late l
        on conflict on constraint alert_once do nothing
        returning a.id, a.run_id
    )
    select r.id, l.run_id, l.pipeline, l.logical_date, l.due_at, l.state,
           l.cancels and queue.request_cancellation(l.run_id), l.hook
    from raised r join late l on l.run_id = r.run_id
    order by r.id;
end $$;
comment on function queue.pass_deadlines is
    'Raises an alert for each run that goes on past its deadline, once, and tells those to stop that are to; the caller starts their hooks in the same transaction.';
