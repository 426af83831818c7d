create or replace function queue.beat(p_worker uuid, p_tasks bigint[], p_attempts bigint[], p_unclaimed_seconds double precision)
returns table (registered boolean, lost bigint[]) language plpgsql volatile as $$
declare
    v_tasks bigint[];
    v_attempts bigint[];
begin
    update queue.worker set last_seen = clock_timestamp() where id = p_worker;
    registered := found;
    select coalesce(array_agg(u.attempt_id), '{}') into lost
    from unnest(p_tasks, p_attempts) u (task_id, attempt_id)
    where not exists (
        select 1 from queue.lease l where l.task_id = u.task_id and l.attempt_id = u.attempt_id);
    -- a claim whose answer was cut off on the way: the worker holds a lease that it does not know of
    select array_agg(l.task_id), array_agg(l.attempt_id) into v_tasks, v_attempts
    from queue.lease l
    where l.worker_id = p_worker and l.attempt_id <> all (p_attempts)
      and l.claimed_at < clock_timestamp() - p_unclaimed_seconds * interval '1 second';
    if v_tasks is not null then
        perform queue.release_leases(v_tasks, v_attempts);
    end if;
    return next;
end $$;
comment on function queue.beat is 'A worker''s heartbeat: answers whether it is still known and which of its attempts it has lost, and takes back leases that it does not know of.';
