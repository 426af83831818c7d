-- The queue: pipeline versions, runs, steps, tasks and the attempts at them.
--
-- Ready, leased, delayed and finished work live in different tables, so that claiming never wades
-- through history. A step is the unit of dependency, a task the unit of execution. Every change of
-- state goes through the functions at the end of this file, and each of them is fenced by attempt id.

create schema queue;

create type queue.run_state as enum ('running', 'succeeded', 'failed');
create type queue.step_state as enum
    ('waiting', 'expanding', 'running', 'succeeded', 'failed', 'skipped', 'upstream_failed');
create type queue.task_state as enum
    ('blocked', 'queued', 'delayed', 'waiting', 'succeeded', 'failed', 'cancelled');
create type queue.attempt_outcome as enum
    ('succeeded', 'failed', 'retried', 'lost', 'released', 'waiting');

-- Pools ----------------------------------------------------------------------------------------------

create table queue.pool (
    id   smallint generated always as identity primary key,
    name text not null,
    constraint pool_name_unique unique (name),
    constraint pool_name_shape check (name ~ '^@?[a-z][a-z0-9_-]{0,62}$')
);
comment on table queue.pool is 'Named sets of interchangeable workers; the scheduler consumes the pool @scheduler.';
comment on column queue.pool.id is 'Set once, at the first mention of the pool.';
comment on column queue.pool.name is 'Set once, at the first mention of the pool.';

insert into queue.pool (name) values ('@scheduler');

-- Pipelines ------------------------------------------------------------------------------------------

create table queue.pipeline_version (
    id         bigint generated always as identity primary key,
    name       text not null,
    digest     bytea not null,
    spec       jsonb not null,
    applied_at timestamptz not null default now(),
    constraint pipeline_version_content_unique unique (name, digest),
    constraint pipeline_version_digest_is_sha256 check (length(digest) = 32)
);
comment on table queue.pipeline_version is 'Every content that a pipeline ever had; rows never change.';
comment on column queue.pipeline_version.id is 'Set once, when the content is first applied.';
comment on column queue.pipeline_version.name is 'Set once: the pipeline''s name.';
comment on column queue.pipeline_version.digest is 'Set once: SHA-256 of the canonical spec.';
comment on column queue.pipeline_version.spec is 'Set once: the checked spec as canonical JSON.';
comment on column queue.pipeline_version.applied_at is 'Set once, when the content is first applied.';

create table queue.pipeline (
    name       text primary key,
    version_id bigint not null references queue.pipeline_version (id),
    constraint pipeline_name_shape check (name ~ '^[a-z][a-z0-9_-]{0,62}$')
);
comment on table queue.pipeline is 'The version of each pipeline that a new run uses.';
comment on column queue.pipeline.name is 'Set once, when the pipeline is first applied.';
comment on column queue.pipeline.version_id is 'Changes whenever other content is applied under this name.';

-- Runs -----------------------------------------------------------------------------------------------

create table queue.run (
    id           uuid primary key,
    version_id   bigint not null references queue.pipeline_version (id),
    pipeline     text not null,
    state        queue.run_state not null default 'running',
    params       jsonb not null,
    dedup_key    text,
    logical_date date not null,
    priority     smallint not null default 1,
    trigger      text not null,
    parent_task  bigint,
    open_steps   integer not null,
    failed_steps integer not null default 0,
    outputs      jsonb,
    created_at   timestamptz not null default now(),
    finished_at  timestamptz,
    constraint run_dedup_key_unique unique (pipeline, dedup_key),
    constraint run_parent_task_unique unique (parent_task),
    constraint run_priority_range check (priority between 0 and 2),
    constraint run_open_steps_range check (open_steps >= 0 and failed_steps >= 0),
    constraint run_ends_with_its_last_step check ((state = 'running') = (finished_at is null)),
    constraint run_success_is_whole check (state <> 'succeeded' or (open_steps = 0 and failed_steps = 0))
);
create index run_created_at on queue.run (created_at desc);
comment on table queue.run is 'One execution of one pipeline version.';
comment on column queue.run.id is 'Set once, by the client that starts the run (UUID version 7).';
comment on column queue.run.version_id is 'Set once: the pipeline version that the run executes, whatever is applied later.';
comment on column queue.run.pipeline is 'Set once: the pipeline''s name, kept here for listings and deduplication.';
comment on column queue.run.state is 'Changes once, from running, when the last step ends.';
comment on column queue.run.params is 'Set once: the resolved parameters.';
comment on column queue.run.dedup_key is 'Set once: starting a run with a known key returns the run that has it.';
comment on column queue.run.logical_date is 'Set once: the UTC day that the run is about (run.date in expressions).';
comment on column queue.run.priority is 'Set once: 0 urgent, 1 normal, 2 background.';
comment on column queue.run.trigger is 'Set once: who or what started the run.';
comment on column queue.run.parent_task is 'Set once: the task of another run that waits for this one.';
comment on column queue.run.open_steps is 'Falls by one whenever a step ends.';
comment on column queue.run.failed_steps is 'Rises by one whenever a step ends in failure or is barred by one.';
comment on column queue.run.outputs is 'Set once, by the implicit step @outputs.';
comment on column queue.run.created_at is 'Set once.';
comment on column queue.run.finished_at is 'Set once, when the last step ends.';

create table queue.step (
    run_id          uuid not null references queue.run (id),
    index           smallint not null,
    name            text not null,
    kind            text not null,
    state           queue.step_state not null default 'waiting',
    unmet           integer not null,
    dependents      smallint[] not null,
    planned         boolean not null,
    sequence        boolean not null,
    pool            smallint not null references queue.pool (id),
    attempts_max    smallint not null,
    backoff_base_ms bigint not null,
    backoff_cap_ms  bigint not null,
    timeout_ms      bigint,
    tolerate_ppm    integer not null,
    tasks_total     integer not null default 0,
    tasks_open      integer not null default 0,
    tasks_failed    integer not null default 0,
    error           text,
    started_at      timestamptz,
    finished_at     timestamptz,
    primary key (run_id, index),
    constraint step_unmet_range check (unmet >= 0),
    constraint step_attempts_range check (attempts_max >= 1),
    constraint step_backoff_range check (backoff_base_ms >= 0 and backoff_cap_ms >= backoff_base_ms),
    constraint step_tolerate_range check (tolerate_ppm between 0 and 1000000),
    constraint step_task_counts check
        (tasks_open between 0 and tasks_total and tasks_failed between 0 and tasks_total),
    constraint step_runs_when_met check (unmet = 0 or state in ('waiting', 'upstream_failed')),
    constraint step_ends_once check
        ((state in ('waiting', 'expanding', 'running')) = (finished_at is null)),
    constraint step_success_is_whole check (state <> 'succeeded' or tasks_open = 0)
) with (fillfactor = 80);
comment on table queue.step is 'One step of a run: the unit of dependency.';
comment on column queue.step.run_id is 'Set once.';
comment on column queue.step.index is 'Set once: the step''s place in its pipeline.';
comment on column queue.step.name is 'Set once.';
comment on column queue.step.kind is 'Set once: the task kind that the step uses.';
comment on column queue.step.state is 'waiting → (expanding →) running → succeeded or failed; or skipped, or upstream_failed.';
comment on column queue.step.unmet is 'Falls by one whenever a step that this one needs ends well.';
comment on column queue.step.dependents is 'Set once: the steps that need this one.';
comment on column queue.step.planned is 'Set once: whether the tasks were inserted when the run started.';
comment on column queue.step.sequence is 'Set once: whether its tasks run one after another.';
comment on column queue.step.pool is 'Set once: where its tasks run.';
comment on column queue.step.attempts_max is 'Set once: failed attempts after which a task fails.';
comment on column queue.step.backoff_base_ms is 'Set once: upper bound of the first retry''s delay, doubled at each attempt.';
comment on column queue.step.backoff_cap_ms is 'Set once: upper bound of every retry''s delay.';
comment on column queue.step.timeout_ms is 'Set once: how long one attempt may take.';
comment on column queue.step.tolerate_ppm is 'Set once: the share of tasks that may fail, in millionths.';
comment on column queue.step.tasks_total is 'Set when the fan-out''s size is known.';
comment on column queue.step.tasks_open is 'Set with tasks_total; falls by one whenever a task ends.';
comment on column queue.step.tasks_failed is 'Rises by one whenever a task fails for good.';
comment on column queue.step.error is 'Set when the step could not be expanded.';
comment on column queue.step.started_at is 'Set once, when the last need is met.';
comment on column queue.step.finished_at is 'Set once, when the step ends.';

create table queue.task (
    id          bigint generated always as identity primary key,
    run_id      uuid not null,
    step        smallint not null,
    index       integer not null,
    state       queue.task_state not null,
    attempts    smallint not null default 0,
    crashes     smallint not null default 0,
    arguments   jsonb,
    outputs     jsonb,
    error       text,
    finished_at timestamptz,
    foreign key (run_id, step) references queue.step (run_id, index),
    constraint task_index_unique unique (run_id, step, index),
    constraint task_index_range check (index >= -1),
    constraint task_ends_once check
        ((state in ('blocked', 'queued', 'delayed', 'waiting')) = (finished_at is null))
) with (fillfactor = 80);
comment on table queue.task is 'One unit of work; index -1 is the scheduler''s own task that expands the step.';
comment on column queue.task.id is 'Set once.';
comment on column queue.task.run_id is 'Set once.';
comment on column queue.task.step is 'Set once: the index of the step.';
comment on column queue.task.index is 'Set once: the place in the step''s fan-out, from 0; -1 expands the step.';
comment on column queue.task.state is 'blocked → queued (↔ delayed, waiting) → succeeded or failed; cancelled when its step is barred.';
comment on column queue.task.attempts is 'Rises by one whenever an attempt ends in an error.';
comment on column queue.task.crashes is 'Rises by one whenever a lease is lost with its worker.';
comment on column queue.task.arguments is 'Set once: the evaluated arguments.';
comment on column queue.task.outputs is 'Set once, by the winning acknowledgement.';
comment on column queue.task.error is 'Changes at each failed attempt: the last error.';
comment on column queue.task.finished_at is 'Set once, when the task ends.';

create sequence queue.ready_seq;
create table queue.ready (
    pool     smallint not null,
    priority smallint not null,
    seq      bigint not null default nextval('queue.ready_seq'),
    task_id  bigint not null,
    primary key (pool, priority, seq)
);
comment on table queue.ready is 'What may be claimed now; rows are inserted and deleted, never updated.';
comment on column queue.ready.pool is 'Set once.';
comment on column queue.ready.priority is 'Set once: 0 first.';
comment on column queue.ready.seq is 'Set once: first in, first out within a priority.';
comment on column queue.ready.task_id is 'Set once.';

create table queue.delayed (
    run_at  timestamptz not null,
    task_id bigint not null,
    primary key (run_at, task_id)
);
comment on table queue.delayed is 'Retries that wait for their time.';
comment on column queue.delayed.run_at is 'Set once: when the task becomes ready.';
comment on column queue.delayed.task_id is 'Set once.';

create table queue.worker (
    id         uuid primary key,
    pool       smallint not null references queue.pool (id),
    host       text not null,
    pid        integer not null,
    slots      integer not null,
    started_at timestamptz not null default now(),
    last_seen  timestamptz not null default now(),
    constraint worker_slots_range check (slots >= 1)
) with (fillfactor = 50);
comment on table queue.worker is 'Worker processes that are alive; the reaper removes those that stop beating.';
comment on column queue.worker.id is 'Set once: new at every start of a worker.';
comment on column queue.worker.pool is 'Set once.';
comment on column queue.worker.host is 'Set once.';
comment on column queue.worker.pid is 'Set once.';
comment on column queue.worker.slots is 'Set once: how many tasks it runs at a time.';
comment on column queue.worker.started_at is 'Set once.';
comment on column queue.worker.last_seen is 'Changes at every heartbeat, by the database''s clock.';

create table queue.lease (
    task_id    bigint primary key,
    attempt_id bigint not null,
    worker_id  uuid not null,
    claimed_at timestamptz not null default clock_timestamp()
);
create index lease_worker on queue.lease (worker_id);
comment on table queue.lease is 'The running set: who holds which task, under which fencing token.';
comment on column queue.lease.task_id is 'Set once.';
comment on column queue.lease.attempt_id is 'Set once: random, so that no crash can reissue it.';
comment on column queue.lease.worker_id is 'Set once.';
comment on column queue.lease.claimed_at is 'Set once.';

create table queue.attempt (
    task_id    bigint not null,
    attempt_id bigint not null,
    worker_id  uuid not null,
    started_at timestamptz not null,
    ended_at   timestamptz not null default clock_timestamp(),
    outcome    queue.attempt_outcome not null,
    error      text
);
create index attempt_task on queue.attempt (task_id);
comment on table queue.attempt is 'Attempts that ended; rows are only ever added.';
comment on column queue.attempt.task_id is 'Set once.';
comment on column queue.attempt.attempt_id is 'Set once.';
comment on column queue.attempt.worker_id is 'Set once.';
comment on column queue.attempt.started_at is 'Set once: when the task was claimed.';
comment on column queue.attempt.ended_at is 'Set once: when the attempt was acknowledged, failed, or given up for lost.';
comment on column queue.attempt.outcome is 'Set once.';
comment on column queue.attempt.error is 'Set once.';

create table queue.log (
    id         bigint generated always as identity primary key,
    run_id     uuid not null,
    task_id    bigint not null,
    attempt_id bigint not null,
    logged_at  timestamptz not null,
    line       text not null,
    constraint log_line_length check (length(line) <= 8192)
);
create index log_run on queue.log (run_id, id);
comment on table queue.log is 'What attempts print, line by line, while they run.';
comment on column queue.log.id is 'Set once: the order of arrival.';
comment on column queue.log.run_id is 'Set once.';
comment on column queue.log.task_id is 'Set once.';
comment on column queue.log.attempt_id is 'Set once.';
comment on column queue.log.logged_at is 'Set once: when the worker read the line.';
comment on column queue.log.line is 'Set once.';

-- These tables turn over completely every few seconds: vacuum by count, never by share of the table.
alter table queue.ready set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
alter table queue.lease set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
alter table queue.delayed set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
alter table queue.task set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);

-- Functions ------------------------------------------------------------------------------------------

create function queue.random_attempt_base() returns bigint language sql volatile as $$
    -- gen_random_uuid is the server's strong generator; 62 bits leave room to count up within a batch
    select ('x' || substr(replace(gen_random_uuid()::text, '-', ''), 17, 16))::bit(64)::bigint & x'3fffffffffffffff'::bigint
$$;
comment on function queue.random_attempt_base is
    'A random start for the fencing tokens of one claim. A sequence could be reissued after a crash, as claims commit asynchronously.';

create function queue.queue_place(p_tasks bigint[])
returns table (task_id bigint, pool smallint, priority smallint) language sql stable as $$
    select t.id, case when t.index = -1 then p.id else s.pool end, r.priority
    from queue.task t
    join queue.step s on s.run_id = t.run_id and s.index = t.step
    join queue.run r on r.id = t.run_id
    cross join queue.pool p
    where t.id = any (p_tasks) and p.name = '@scheduler'
$$;
comment on function queue.queue_place is 'Where a task queues: its step''s pool, or the scheduler''s when it expands the step.';

create function queue.claim(p_pool smallint, p_worker uuid, p_count integer, p_after bigint[])
returns table (
    task_id bigint, attempt_id bigint, priority smallint, seq bigint, run_id uuid, pipeline text, version_id bigint,
    logical_date date, step smallint, step_name text, kind text, index integer, arguments jsonb,
    attempts smallint, crashes smallint, attempts_max smallint, timeout_ms bigint)
language plpgsql volatile as $$
#variable_conflict use_column
declare
    v_claimed integer;
    v_left integer := p_count;
    v_base bigint := queue.random_attempt_base();
begin
    -- a claim that a crash of the server forgets is simply ready again, so nothing waits for the disk; this holds
    -- until the transaction's end, so an acknowledgement must not share it
    perform set_config('synchronous_commit', 'off', true);
    for v_priority in 0..2 loop
        -- the array keeps the planner on the primary key: a join with a CTE makes it scan the table
        return query
        with taken as (
            delete from queue.ready r
            where r.ctid = any (array(
                select c.ctid from queue.ready c
                where c.pool = p_pool and c.priority = v_priority and c.seq > p_after[v_priority + 1]
                order by c.seq limit v_left for update skip locked))
            returning r.task_id, r.seq
        ), leased as (
            insert into queue.lease as l (task_id, attempt_id, worker_id)
            select t.task_id, v_base + row_number() over (order by t.seq), p_worker from taken t
            returning l.task_id, l.attempt_id
        )
        -- joined here, under the snapshot that saw the ready rows: the caller's query has an older one, which may not
        -- see the tasks of a run that was started in between, and would keep back what has just been leased
        select l.task_id, l.attempt_id, v_priority::smallint, t.seq, k.run_id, r.pipeline, r.version_id,
               r.logical_date, k.step, s.name, s.kind, k.index, k.arguments,
               k.attempts, k.crashes, s.attempts_max, s.timeout_ms
        from leased l
        join taken t using (task_id)
        join queue.task k on k.id = l.task_id
        join queue.step s on s.run_id = k.run_id and s.index = k.step
        join queue.run r on r.id = k.run_id;
        get diagnostics v_claimed = row_count;
        v_left := v_left - v_claimed;
        v_base := v_base + v_claimed;
        exit when v_left <= 0;
    end loop;
end $$;
comment on function queue.claim is
    'Leases up to p_count ready tasks of a pool, most urgent first; p_after holds one watermark per priority.';

create function queue.release_steps(p_runs uuid[], p_steps smallint[]) returns void
language plpgsql volatile as $$
begin
    -- tasks that were planned when the run started
    with opened as (
        update queue.step s set state = 'running', started_at = clock_timestamp()
        from unnest(p_runs, p_steps) u (run_id, index)
        where s.run_id = u.run_id and s.index = u.index and s.state = 'waiting' and s.planned
        returning s.run_id, s.index, s.pool
    ), queued as (
        update queue.task t set state = 'queued'
        from opened o
        where t.run_id = o.run_id and t.step = o.index and t.state = 'blocked'
        returning t.id, t.index, o.pool, t.run_id, t.step
    )
    insert into queue.ready (pool, priority, task_id)
    select q.pool, r.priority, q.id from queued q join queue.run r on r.id = q.run_id
    order by q.run_id, q.step, q.index;

    -- steps that the scheduler must expand first
    with opened as (
        update queue.step s set state = 'expanding', started_at = clock_timestamp()
        from unnest(p_runs, p_steps) u (run_id, index)
        where s.run_id = u.run_id and s.index = u.index and s.state = 'waiting' and not s.planned
        returning s.run_id, s.index
    ), expansions as (
        insert into queue.task (run_id, step, index, state)
        select o.run_id, o.index, -1, 'queued' from opened o
        returning id, run_id
    )
    insert into queue.ready (pool, priority, task_id)
    select p.id, r.priority, e.id
    from expansions e join queue.run r on r.id = e.run_id cross join queue.pool p
    where p.name = '@scheduler';
end $$;
comment on function queue.release_steps is 'Opens steps whose needs are met: queues their tasks, or the scheduler''s task that expands them.';

create function queue.settle_steps(p_runs uuid[], p_steps smallint[]) returns void
language plpgsql volatile as $$
declare
    v_runs uuid[] := p_runs;
    v_steps smallint[] := p_steps;
    v_free_runs uuid[];
    v_free_steps smallint[];
    v_barred_runs uuid[];
    v_barred_steps smallint[];
    v_ended uuid[];
begin
    -- each turn: steps that have no open task end; what they free is released; what they bar ends in the next turn
    while cardinality(v_runs) > 0 loop
        -- runs first and in order, so that two settlements of one run never cross
        perform 1 from queue.run r where r.id = any (v_runs) order by r.id for no key update;

        with ended as (
            update queue.step s set
                state = case
                    when s.state = 'upstream_failed' or s.state = 'skipped' then s.state
                    when s.error is not null
                        -- the items after the failed one never ran, so that there is no share to tolerate
                        or s.sequence and s.tasks_failed > 0
                        or s.tasks_failed::bigint * 1000000 > s.tasks_total::bigint * s.tolerate_ppm
                        then 'failed'::queue.step_state
                    else 'succeeded'::queue.step_state end,
                finished_at = coalesce(s.finished_at, clock_timestamp())
            from unnest(v_runs, v_steps) u (run_id, index)
            where s.run_id = u.run_id and s.index = u.index
            returning s.run_id, s.index, s.state, s.dependents
        ), counted as (
            update queue.run r set
                open_steps = r.open_steps - n.ended,
                failed_steps = r.failed_steps + n.failed
            from (
                select e.run_id, count(*)::int as ended,
                       (count(*) filter (where e.state in ('failed', 'upstream_failed')))::int as failed
                from ended e group by e.run_id
            ) n
            where r.id = n.run_id
            returning r.id, r.open_steps
        ), reached as (
            select e.run_id, d.index, count(*)::int as ends,
                   bool_or(e.state in ('failed', 'upstream_failed')) as barred
            from ended e cross join unnest(e.dependents) d (index)
            group by e.run_id, d.index
        ), touched as (
            update queue.step s set
                unmet = case when r.barred then s.unmet else s.unmet - r.ends end,
                state = case when r.barred and s.state = 'waiting' then 'upstream_failed' else s.state end,
                finished_at = case when r.barred and s.state = 'waiting' then clock_timestamp() else s.finished_at end
            from reached r
            where s.run_id = r.run_id and s.index = r.index and s.state = 'waiting'
            returning s.run_id, s.index, s.unmet, s.state
        )
        select
            coalesce(array_agg(t.run_id order by t.run_id, t.index) filter (where t.state = 'waiting' and t.unmet = 0), '{}'),
            coalesce(array_agg(t.index order by t.run_id, t.index) filter (where t.state = 'waiting' and t.unmet = 0), '{}'),
            coalesce(array_agg(t.run_id order by t.run_id, t.index) filter (where t.state = 'upstream_failed'), '{}'),
            coalesce(array_agg(t.index order by t.run_id, t.index) filter (where t.state = 'upstream_failed'), '{}'),
            (select coalesce(array_agg(c.id order by c.id) filter (where c.open_steps = 0), '{}') from counted c)
        into v_free_runs, v_free_steps, v_barred_runs, v_barred_steps, v_ended
        from touched t;

        perform queue.release_steps(v_free_runs, v_free_steps);

        update queue.task t set state = 'cancelled', finished_at = clock_timestamp()
        from unnest(v_barred_runs, v_barred_steps) u (run_id, index)
        where t.run_id = u.run_id and t.step = u.index and t.state = 'blocked';

        -- a step that is open but has nothing to do ends at once
        with idle as (
            select s.run_id, s.index from queue.step s
            join unnest(v_free_runs, v_free_steps) u (run_id, index) on s.run_id = u.run_id and s.index = u.index
            where s.planned and s.tasks_open = 0
        )
        select v_barred_runs || coalesce(array_agg(i.run_id), '{}'), v_barred_steps || coalesce(array_agg(i.index), '{}')
        into v_runs, v_steps from idle i;

        -- runs that ended, and the tasks of other runs that waited for them
        if cardinality(v_ended) > 0 then
            with finished as (
                update queue.run r set
                    state = case when r.failed_steps = 0 then 'succeeded' else 'failed' end::queue.run_state,
                    finished_at = clock_timestamp()
                where r.id = any (v_ended)
                returning r.id, r.state, r.outputs, r.parent_task, r.pipeline
            ), answered as (
                update queue.task t set
                    state = case when f.state = 'succeeded' then 'succeeded' else 'failed' end::queue.task_state,
                    outputs = f.outputs,
                    error = case when f.state = 'failed' then format('run %s of pipeline %s failed', f.id, f.pipeline) end,
                    finished_at = clock_timestamp()
                from finished f
                where t.id = f.parent_task and t.state = 'waiting'
                returning t.run_id, t.step, t.state
            )
            select v_runs || coalesce(array_agg(c.run_id), '{}'), v_steps || coalesce(array_agg(c.step), '{}')
            into v_runs, v_steps
            from queue.count_finished(
                (select coalesce(array_agg(a.run_id), '{}') from answered a),
                (select coalesce(array_agg(a.step), '{}') from answered a),
                (select coalesce(array_agg(a.state = 'failed'), '{}') from answered a)) c;
        end if;
    end loop;
end $$;
comment on function queue.settle_steps is
    'Ends steps that have no open task, and everything that follows: dependents are freed or barred, runs end, waiting parents go on.';

create function queue.count_finished(p_runs uuid[], p_steps smallint[], p_failed boolean[])
returns table (run_id uuid, step smallint)
language plpgsql volatile as $$
#variable_conflict use_column
begin
    return query
    with finished as (
        select u.run_id, u.step, count(*)::int as ended, (count(*) filter (where u.failed))::int as failed
        from unnest(p_runs, p_steps, p_failed) u (run_id, step, failed)
        group by u.run_id, u.step
    ), locked as (
        select s.run_id, s.index from queue.step s join finished f on s.run_id = f.run_id and s.index = f.step
        order by s.run_id, s.index for no key update of s
    ), counted as (
        update queue.step s set
            tasks_failed = s.tasks_failed + f.failed,
            -- a sequence stops at its first failure: the items after it never start
            tasks_open = case when s.sequence and f.failed > 0 then 0 else s.tasks_open - f.ended end
        from finished f join locked l on l.run_id = f.run_id and l.index = f.step
        where s.run_id = f.run_id and s.index = f.step
        returning s.run_id, s.index, s.tasks_open, s.sequence
    ), expansions as (
        -- the scheduler's task of a sequence waits between items: on with it, or away with it
        update queue.task t set
            state = case when c.tasks_open > 0 then 'queued' else 'cancelled' end::queue.task_state,
            finished_at = case when c.tasks_open > 0 then null else clock_timestamp() end
        from counted c
        where c.sequence and t.run_id = c.run_id and t.step = c.index and t.index = -1 and t.state = 'waiting'
        returning t.id, t.run_id, t.state
    ), requeued as (
        insert into queue.ready (pool, priority, task_id)
        select p.id, r.priority, e.id
        from expansions e join queue.run r on r.id = e.run_id cross join queue.pool p
        where p.name = '@scheduler' and e.state = 'queued'
    )
    select c.run_id, c.index from counted c where c.tasks_open = 0;
end $$;
comment on function queue.count_finished is
    'Counts ended tasks off their steps, asks for the next item of a sequence, and returns the steps that have no open task left.';

create function queue.complete(p_tasks bigint[], p_attempts bigint[], p_outputs jsonb[])
returns bigint[] language plpgsql volatile as $$
declare
    v_won bigint[];
    v_runs uuid[];
    v_steps smallint[];
begin
    with won as (
        delete from queue.lease l
        using unnest(p_tasks, p_attempts) u (task_id, attempt_id)
        where l.task_id = u.task_id and l.attempt_id = u.attempt_id
        returning l.task_id, l.attempt_id, l.worker_id, l.claimed_at
    ), history as (
        insert into queue.attempt (task_id, attempt_id, worker_id, started_at, outcome)
        select w.task_id, w.attempt_id, w.worker_id, w.claimed_at, 'succeeded' from won w
    ), done as (
        update queue.task t set state = 'succeeded', outputs = u.outputs, error = null, finished_at = clock_timestamp()
        -- by attempt too: one batch may hold a lost attempt at a task and the one that followed it
        from won w join unnest(p_tasks, p_attempts, p_outputs) u (task_id, attempt_id, outputs) using (task_id, attempt_id)
        where t.id = w.task_id
        returning t.id, t.run_id, t.step
    )
    select array_agg(d.id), array_agg(d.run_id), array_agg(d.step) into v_won, v_runs, v_steps from done d;
    if v_won is null then
        return '{}';
    end if;
    select array_agg(c.run_id), array_agg(c.step) into v_runs, v_steps
    from queue.count_finished(v_runs, v_steps, array_fill(false, array[cardinality(v_won)])) c;
    if v_runs is not null then
        perform queue.settle_steps(v_runs, v_steps);
    end if;
    return v_won;
end $$;
comment on function queue.complete is
    'Acknowledges successes, fenced by attempt id; returns the tasks that were still this caller''s.';

create function queue.fail(
    p_tasks bigint[], p_attempts bigint[], p_errors text[], p_final boolean[], p_retry_after_ms bigint[])
returns bigint[] language plpgsql volatile as $$
declare
    v_won bigint[];
    v_runs uuid[];
    v_steps smallint[];
begin
    with won as (
        delete from queue.lease l
        using unnest(p_tasks, p_attempts) u (task_id, attempt_id)
        where l.task_id = u.task_id and l.attempt_id = u.attempt_id
        returning l.task_id, l.attempt_id, l.worker_id, l.claimed_at
    ), judged as (
        select w.*, u.error, t.run_id, t.step, t.attempts + 1 as attempts,
               u.final or t.attempts + 1 >= s.attempts_max as ends,
               -- exponential back-off with full jitter (AWS Architecture Blog, 2015)
               case when u.retry_after_ms is not null then u.retry_after_ms::double precision
                    else random() * least(s.backoff_cap_ms, s.backoff_base_ms * power(2, least(t.attempts, 40))) end as delay_ms
        from won w
        -- by attempt too: one batch may hold a lost attempt at a task and the one that followed it
        join unnest(p_tasks, p_attempts, p_errors, p_final, p_retry_after_ms)
            u (task_id, attempt_id, error, final, retry_after_ms) using (task_id, attempt_id)
        join queue.task t on t.id = w.task_id
        join queue.step s on s.run_id = t.run_id and s.index = t.step
    ), history as (
        insert into queue.attempt (task_id, attempt_id, worker_id, started_at, outcome, error)
        select j.task_id, j.attempt_id, j.worker_id, j.claimed_at,
               case when j.ends then 'failed' else 'retried' end::queue.attempt_outcome, j.error
        from judged j
    ), changed as (
        update queue.task t set
            attempts = j.attempts, error = j.error,
            state = case when j.ends then 'failed' else 'delayed' end::queue.task_state,
            finished_at = case when j.ends then clock_timestamp() end
        from judged j where t.id = j.task_id
    ), waiting as (
        insert into queue.delayed (run_at, task_id)
        select clock_timestamp() + j.delay_ms * interval '1 millisecond', j.task_id from judged j where not j.ends
    )
    select array_agg(j.task_id), array_agg(j.run_id) filter (where j.ends), array_agg(j.step) filter (where j.ends)
    into v_won, v_runs, v_steps
    from judged j;
    if v_runs is not null then
        select array_agg(c.run_id), array_agg(c.step) into v_runs, v_steps
        from queue.count_finished(v_runs, v_steps, array_fill(true, array[cardinality(v_runs)])) c;
        if v_runs is not null then
            perform queue.settle_steps(v_runs, v_steps);
        end if;
    end if;
    return coalesce(v_won, '{}');
end $$;
comment on function queue.fail is
    'Records failed attempts, fenced by attempt id: a task is tried again after a jittered delay, or fails for good.';

create function queue.release_leases(p_tasks bigint[], p_attempts bigint[]) returns integer
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
    insert into queue.ready (pool, priority, task_id)
    select q.pool, q.priority, q.task_id from queue.queue_place(v_tasks) q order by q.task_id;
    return coalesce(cardinality(v_tasks), 0);
end $$;
comment on function queue.release_leases is 'Hands back tasks that were claimed and not finished; neither a failure nor a crash is counted.';

create function queue.reap(p_lease_seconds double precision, p_crashes_max integer)
returns table (task_id bigint, dead boolean)
language plpgsql volatile as $$
#variable_conflict use_column
declare
    v_workers uuid[];
    v_tasks bigint[];
    v_dead boolean[];
    v_runs uuid[];
    v_steps smallint[];
begin
    select coalesce(array_agg(d.id), '{}') into v_workers from (
        select w.id from queue.worker w
        where w.last_seen < clock_timestamp() - p_lease_seconds * interval '1 second'
        for update skip locked) d;
    delete from queue.worker w where w.id = any (v_workers);

    with lost as (
        delete from queue.lease l
        where l.worker_id = any (v_workers)
           or (not exists (select 1 from queue.worker w where w.id = l.worker_id)
               and l.claimed_at < clock_timestamp() - p_lease_seconds * interval '1 second')
        returning l.*
    ), history as (
        insert into queue.attempt (task_id, attempt_id, worker_id, started_at, outcome, error)
        select l.task_id, l.attempt_id, l.worker_id, l.claimed_at, 'lost', 'the worker stopped beating' from lost l
    ), changed as (
        update queue.task t set
            crashes = t.crashes + 1,
            state = case when t.crashes + 1 >= p_crashes_max then 'failed'::queue.task_state else t.state end,
            error = case when t.crashes + 1 >= p_crashes_max
                then format('its worker died %s times while running it', t.crashes + 1) else t.error end,
            finished_at = case when t.crashes + 1 >= p_crashes_max then clock_timestamp() end
        from lost l where t.id = l.task_id
        returning t.id, t.state = 'failed' as dead
    )
    select array_agg(c.id order by c.id), array_agg(c.dead order by c.id) into v_tasks, v_dead from changed c;
    if v_tasks is null then
        return;
    end if;

    insert into queue.ready (pool, priority, task_id)
    select q.pool, q.priority, q.task_id
    from unnest(v_tasks, v_dead) u (task_id, dead) join queue.queue_place(v_tasks) q using (task_id)
    where not u.dead order by u.task_id;

    update queue.step s set error = 'the scheduler died while expanding this step', tasks_open = 0
    from unnest(v_tasks, v_dead) u (task_id, dead) join queue.task t on t.id = u.task_id
    where u.dead and t.index = -1 and s.run_id = t.run_id and s.index = t.step;

    select array_agg(x.run_id), array_agg(x.step) into v_runs, v_steps from (
        select t.run_id, t.step
        from unnest(v_tasks, v_dead) u (task_id, dead) join queue.task t on t.id = u.task_id
        where u.dead and t.index = -1
        union all
        select c.run_id, c.step
        from (
            select coalesce(array_agg(t.run_id), '{}') as runs, coalesce(array_agg(t.step), '{}') as steps,
                   coalesce(array_agg(true), '{}') as failed
            from unnest(v_tasks, v_dead) u (task_id, dead) join queue.task t on t.id = u.task_id
            where u.dead and t.index >= 0
        ) d cross join queue.count_finished(d.runs, d.steps, d.failed) c
    ) x;
    if v_runs is not null then
        perform queue.settle_steps(v_runs, v_steps);
    end if;
    return query select u.task_id, u.dead from unnest(v_tasks, v_dead) u (task_id, dead);
end $$;
comment on function queue.reap is
    'Takes the leases of workers that stopped beating: their tasks are ready again, or fail once they have killed too many workers.';

create function queue.promote_due(p_limit integer) returns integer language plpgsql volatile as $$
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
    insert into queue.ready (pool, priority, task_id)
    select q.pool, q.priority, q.task_id from queue.queue_place(v_tasks) q order by q.task_id;
    return cardinality(v_tasks);
end $$;
comment on function queue.promote_due is 'Makes retries ready whose time has come.';

create function queue.beat(p_worker uuid, p_tasks bigint[], p_attempts bigint[], p_unclaimed_seconds double precision)
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

create function queue.take_lease(p_task bigint, p_attempt bigint, p_outcome queue.attempt_outcome)
returns boolean language plpgsql volatile as $$
begin
    with won as (
        delete from queue.lease l where l.task_id = p_task and l.attempt_id = p_attempt returning l.*
    )
    insert into queue.attempt (task_id, attempt_id, worker_id, started_at, outcome)
    select w.task_id, w.attempt_id, w.worker_id, w.claimed_at, p_outcome from won w;
    return found;
end $$;
comment on function queue.take_lease is 'Ends one attempt, fenced; false when the lease is no longer this caller''s.';

create function queue.expand_step(
    p_task bigint, p_attempt bigint, p_skipped boolean, p_total integer, p_indexes integer[], p_arguments jsonb[])
returns boolean language plpgsql volatile as $$
declare
    v_run uuid;
    v_step smallint;
    v_comes_back boolean;
begin
    if not queue.take_lease(p_task, p_attempt, 'succeeded') then
        return false;
    end if;
    select t.run_id, t.step into strict v_run, v_step from queue.task t where t.id = p_task;
    perform 1 from queue.step s where s.run_id = v_run and s.index = v_step for no key update;

    update queue.step s set
        state = case when p_skipped then 'skipped' else 'running' end::queue.step_state,
        finished_at = case when p_skipped then clock_timestamp() end,
        tasks_open = case when s.state = 'expanding' then p_total else s.tasks_open end,
        tasks_total = p_total
    where s.run_id = v_run and s.index = v_step;
    -- the expansion of a sequence comes back for every item but the last
    v_comes_back := p_total > 0 and p_indexes[cardinality(p_indexes)] < p_total - 1;
    update queue.task t set
        state = case when v_comes_back then 'waiting' else 'succeeded' end::queue.task_state,
        finished_at = case when v_comes_back then null else clock_timestamp() end
    where t.id = p_task;

    with fresh as (
        insert into queue.task (run_id, step, index, state, arguments)
        select v_run, v_step, u.index, 'queued', u.arguments
        from unnest(p_indexes, p_arguments) u (index, arguments)
        returning id, index
    )
    insert into queue.ready (pool, priority, task_id)
    select s.pool, r.priority, f.id
    from fresh f
    join queue.step s on s.run_id = v_run and s.index = v_step
    join queue.run r on r.id = v_run
    order by f.index;

    if p_skipped or p_total = 0 then
        perform queue.settle_steps(array[v_run], array[v_step]);
    end if;
    return true;
end $$;
comment on function queue.expand_step is
    'The scheduler''s acknowledgement of an expansion: the fan-out''s size and tasks are recorded in one transaction, fenced.';

create function queue.fail_expansion(p_task bigint, p_attempt bigint, p_error text) returns boolean
language plpgsql volatile as $$
declare
    v_run uuid;
    v_step smallint;
begin
    if not queue.take_lease(p_task, p_attempt, 'failed') then
        return false;
    end if;
    update queue.task t set state = 'failed', error = p_error, finished_at = clock_timestamp()
    where t.id = p_task returning t.run_id, t.step into strict v_run, v_step;
    update queue.step s set error = p_error, tasks_open = 0 where s.run_id = v_run and s.index = v_step;
    perform queue.settle_steps(array[v_run], array[v_step]);
    return true;
end $$;
comment on function queue.fail_expansion is 'Fails a step whose expressions cannot be evaluated.';

create function queue.publish_outputs(p_task bigint, p_attempt bigint, p_outputs jsonb) returns boolean
language plpgsql volatile as $$
declare
    v_run uuid;
    v_step smallint;
begin
    if not queue.take_lease(p_task, p_attempt, 'succeeded') then
        return false;
    end if;
    update queue.task t set state = 'succeeded', outputs = p_outputs, finished_at = clock_timestamp()
    where t.id = p_task returning t.run_id, t.step into strict v_run, v_step;
    update queue.run r set outputs = p_outputs where r.id = v_run;
    update queue.step s set state = 'running' where s.run_id = v_run and s.index = v_step;
    perform queue.settle_steps(array[v_run], array[v_step]);
    return true;
end $$;
comment on function queue.publish_outputs is 'Ends the implicit step @outputs: what it evaluated becomes the run''s outputs.';

create function queue.open_run(p_run uuid) returns void language plpgsql volatile as $$
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

create function queue.await_child(p_task bigint, p_attempt bigint) returns boolean language plpgsql volatile as $$
begin
    if not queue.take_lease(p_task, p_attempt, 'waiting') then
        return false;
    end if;
    update queue.task t set state = 'waiting' where t.id = p_task;
    return true;
end $$;
comment on function queue.await_child is
    'Parks a task until the run that has it as its parent ends; fenced, and in the transaction that starts that run.';
