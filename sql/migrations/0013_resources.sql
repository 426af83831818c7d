-- Resources: what tasks ask of their worker beside a slot, and what workers have.
--
-- Tasks of one pool that ask for the same are a lane: a pool of its own in all tables that name pools, so that whatever
-- makes a task ready carries what it asks for, and tasks that ask for nothing are claimed as ever.

alter table queue.pool
    drop constraint pool_name_shape,
    add constraint pool_name_shape check (name ~ '^@?[a-z][a-z0-9_-]{0,62}([+][0-9]+)?$'),
    add column weighs boolean not null default false;
comment on column queue.pool.name is 'Set once, at the first mention of the pool; a lane is called after its pool and its own number: gpu+7.';
comment on column queue.pool.weighs is 'Set once, when the pool gets its first lane or its first worker with a GPU: from then on claims weigh what tasks ask for, and nothing is claimed in advance.';

-- ensuring pools used to take a number at each mention, and there are only 32,767
select setval(pg_get_serial_sequence('queue.pool', 'id'), (select max(p.id) from queue.pool p));

create table queue.lane (
    id           smallint primary key references queue.pool (id),
    pool         smallint not null references queue.pool (id),
    cpu_millis   integer not null,
    memory_bytes bigint not null,
    gpus         integer not null,
    labels       text[] not null,
    constraint lane_unique unique (pool, cpu_millis, memory_bytes, gpus, labels),
    constraint lane_asks_for_something check
        (cpu_millis >= 0 and memory_bytes >= 0 and gpus >= 0
         and (cpu_millis > 0 or memory_bytes > 0 or gpus > 0 or labels <> '{}')),
    constraint lane_is_not_its_pool check (id <> pool)
);
comment on table queue.lane is 'The tasks of a pool that ask for the same resources: the lane is what their steps have as their pool.';
comment on column queue.lane.id is 'Set once: the lane''s number among the pools.';
comment on column queue.lane.pool is 'Set once: the pool whose workers serve the lane.';
comment on column queue.lane.cpu_millis is 'Set once: thousandths of a processor that each task asks for.';
comment on column queue.lane.memory_bytes is 'Set once: memory that each task asks for.';
comment on column queue.lane.gpus is 'Set once: GPUs that each task asks for.';
comment on column queue.lane.labels is 'Set once: labels that the worker must have, in order.';

alter table queue.worker
    add column cpu_millis integer,
    add column memory_bytes bigint,
    add column gpus integer,
    add column labels text[],
    add constraint worker_resources_are_whole check
        (num_nulls(cpu_millis, memory_bytes, gpus, labels) in (0, 4)),
    add constraint worker_resources_range check (cpu_millis >= 0 and memory_bytes >= 0 and gpus >= 0);
comment on column queue.worker.cpu_millis is 'Set once: thousandths of a processor that its tasks may use together; null where it advertises nothing, and is given no task that asks.';
comment on column queue.worker.memory_bytes is 'Set once, with cpu_millis: memory that its tasks may use together.';
comment on column queue.worker.gpus is 'Set once, with cpu_millis: GPUs that its tasks may use together.';
comment on column queue.worker.labels is 'Set once, with cpu_millis: what else tasks may ask for.';

alter table queue.lease add column lane smallint;
comment on column queue.lease.lane is 'Set once: what the task uses of its worker; null where it asked for nothing.';

create table queue.reservation (
    lane       smallint primary key references queue.lane (id),
    worker_id  uuid not null,
    renewed_at timestamptz not null default clock_timestamp()
);
comment on table queue.reservation is 'Which worker keeps room for the first task of a lane that has waited for long: one worker for each lane, so that not all of them run empty.';
comment on column queue.reservation.lane is 'Set once.';
comment on column queue.reservation.worker_id is 'Changes when the worker before has not renewed it.';
comment on column queue.reservation.renewed_at is 'Changes with the claims of the worker that keeps the room; without them another takes over.';

-- Weights of tenants ---------------------------------------------------------------------------------

create table queue.tenant (
    name   text primary key,
    weight integer not null,
    constraint tenant_weight_range check (weight between 1 and 1000)
);
comment on table queue.tenant is 'Tenants that get more than one share; all others get one.';
comment on column queue.tenant.name is 'Set once: as pipelines write it.';
comment on column queue.tenant.weight is 'Changes with `tale tenant weight`: how many of its tasks come for one of a tenant of weight 1.';

alter table queue.turn
    add column used integer not null default 0,
    add constraint turn_used_range check (used >= 0);
comment on column queue.turn.used is 'Changes with seq: how many tasks of the tenant have the next place already; fewer than its weight.';
