-- dependents travel as text, because arrays of arrays must be rectangular
insert into queue.step (
    run_id, index, name, kind, unmet, dependents, planned, sequence, pool, attempts_max,
    backoff_base_ms, backoff_cap_ms, timeout_ms, tolerate_ppm, tasks_total, tasks_open,
    join_rule, is_finally, capacity, rate_count, rate_ms, retry_classes, timeout_total_ms)
select $1, u.index, u.name, u.kind, u.unmet, u.dependents::smallint[], u.planned, u.sequence, p.id, u.attempts_max,
    u.backoff_base_ms, u.backoff_cap_ms, u.timeout_ms, u.tolerate_ppm, u.tasks, u.tasks,
    u.join_rule::queue.join_rule, u.is_finally, u.capacity, u.rate_count, u.rate_ms, u.retry_classes, u.timeout_total_ms
from unnest(
    $2::smallint[], $3::text[], $4::text[], $5::integer[], $6::text[], $7::boolean[], $8::boolean[], $9::text[],
    $10::smallint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::integer[], $15::integer[],
    $16::text[], $17::boolean[], $18::integer[], $19::integer[], $20::bigint[], $21::jsonb[], $22::bigint[]
) u (index, name, kind, unmet, dependents, planned, sequence, pool, attempts_max,
     backoff_base_ms, backoff_cap_ms, timeout_ms, tolerate_ppm, tasks,
     join_rule, is_finally, capacity, rate_count, rate_ms, retry_classes, timeout_total_ms)
join queue.pool p on p.name = u.pool
