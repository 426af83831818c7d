-- Flow and control: tallies of large fan-outs, admission by key, joins, pause, cancellation, approval.
--
-- From here on the queue's functions live in sql/functions/queue, in their current form; the ones at the end of
-- 0001_queue.sql are how it began.

create schema database;

create table database.functions (
    is_only        boolean primary key default true,
    digest         bytea not null,
    schema_version bigint not null,
    applied_at     timestamptz not null default now(),
    constraint functions_one_row check (is_only),
    constraint functions_digest_is_sha256 check (length(digest) = 32)
);
comment on table database.functions is 'Which form of the functions in sql/functions this database has.';
comment on column database.functions.is_only is 'Set once: there is one row.';
comment on column database.functions.digest is 'Changes when a program with other functions starts: SHA-256 of the files.';
comment on column database.functions.schema_version is 'Changes with digest: the last migration that the program knew.';
comment on column database.functions.applied_at is 'Changes with digest.';

-- Tallies --------------------------------------------------------------------------------------------

create table queue.tally (
    run_id uuid not null,
    step   smallint not null,
    ended  integer not null,
    failed integer not null,
    constraint tally_counts check (ended > 0 and failed between 0 and ended)
);
comment on table queue.tally is
    'Tasks of large fan-outs that ended and are not yet counted off their step: rows are added by acknowledgements, which so never wait for each other, and folded into the step by a scheduler.';
comment on column queue.tally.run_id is 'Set once.';
comment on column queue.tally.step is 'Set once: the index of the step.';
comment on column queue.tally.ended is 'Set once: how many tasks ended, failed ones included.';
comment on column queue.tally.failed is 'Set once: how many of them failed for good.';
alter table queue.tally set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

-- Ready work -----------------------------------------------------------------------------------------

alter table queue.ready add column entered_at timestamptz not null default now();
comment on column queue.ready.entered_at is 'Set once: since when the task could be claimed; work that waits for long overtakes more urgent work.';

-- attempts end roughly in the order of their tasks, so that a summary of each block finds them; an entry per attempt in
-- a tree would be a sixth of what a task costs to write
drop index queue.attempt_task;
create index attempt_task on queue.attempt using brin (task_id) with (pages_per_range = 16, autosummarize = on);

-- a lookup by worker reads the running set, which fits in a few pages; an index on it would cost every claim
drop index queue.lease_worker;

-- two tenants' tasks may hold the same place in the order
alter table queue.ready drop constraint ready_pkey;
alter table queue.ready add primary key (pool, priority, seq, task_id);

-- Joins, pause, cancellation -------------------------------------------------------------------------

create type queue.join_rule as enum ('all_success', 'all_done', 'any_success');

alter table queue.pool
    add column is_paused boolean not null default false,
    add column leases_max integer,
    add constraint pool_leases_range check (leases_max >= 1);
comment on column queue.pool.is_paused is 'Changes with `tale pause pool` and `tale resume pool`: nothing is claimed from a paused pool.';
comment on column queue.pool.leases_max is 'Changes with `tale pools limit`: how many tasks of the pool run at a time, over all workers.';

alter table queue.pipeline
    add column is_paused boolean not null default false,
    add column runs_max integer,
    add constraint pipeline_runs_range check (runs_max >= 1);
comment on column queue.pipeline.is_paused is 'Changes with `tale pause pipeline` and `tale resume pipeline`: new runs of a paused pipeline wait.';
comment on column queue.pipeline.runs_max is 'Changes with the pipeline''s content (`concurrency`): how many of its runs go on at a time.';

alter table queue.run
    add column is_paused boolean not null default false,
    add column cancelled_at timestamptz,
    add column tenant text,
    add column reason text;
alter table queue.run drop constraint run_ends_with_its_last_step;
alter table queue.run add constraint run_ends_with_its_last_step
    check ((state::text in ('queued', 'running')) = (finished_at is null));
-- neither column changes when a run ends, so that its end stays an update in place
create index run_paused on queue.run (id) where is_paused;
-- ends of runs are updates in place
alter table queue.run set (fillfactor = 75);
comment on column queue.run.state is 'queued → running → succeeded, failed or cancelled; back to running when it is retried.';
comment on column queue.run.is_paused is 'Changes with `tale pause run` and `tale resume run`: tasks of a paused run are parked when they would become ready.';
comment on column queue.run.cancelled_at is 'Set when the run is told to stop; unset when it is retried.';
comment on column queue.run.tenant is 'Set once: runs of different tenants share pools evenly.';
comment on column queue.run.reason is 'Set once: why the run was started, in the words of whoever started it.';

alter table queue.step
    add column join_rule queue.join_rule not null default 'all_success',
    add column is_finally boolean not null default false,
    add column capacity integer,
    add column rate_count integer,
    add column rate_ms bigint,
    add constraint step_limits_range check (capacity >= 1 and rate_count >= 1 and rate_ms >= 1),
    add constraint step_rate_is_whole check ((rate_count is null) = (rate_ms is null));
alter table queue.step drop constraint step_runs_when_met;
alter table queue.step add constraint step_runs_when_met
    check (unmet = 0 or state::text in ('waiting', 'upstream_failed', 'cancelled'));
comment on column queue.step.join_rule is 'Set once: which ends of the needed steps open this one.';
comment on column queue.step.is_finally is 'Set once: whether the step runs after all others, however these ended, a cancelled run''s too.';
comment on column queue.step.capacity is 'Set once: how many tasks with one limit key run at a time.';
comment on column queue.step.rate_count is 'Set once: how many tasks with one limit key start within rate_ms.';
comment on column queue.step.rate_ms is 'Set once, with rate_count.';

alter table queue.task add column limit_key text,
    add constraint task_limit_key_length check (length(limit_key) between 1 and 500);
comment on column queue.task.limit_key is 'Set once: the evaluated key of the step''s limit.';

create table queue.parked (
    task_id bigint primary key
);
comment on table queue.parked is 'Tasks of paused runs that would be ready.';
comment on column queue.parked.task_id is 'Set once.';

create table queue.cancellation (
    run_id       uuid primary key references queue.run (id),
    requested_at timestamptz not null default clock_timestamp()
);
comment on table queue.cancellation is 'Runs that are being stopped: a row stays for a minute after the run has ended, so that nothing slips through.';
comment on column queue.cancellation.run_id is 'Set once.';
comment on column queue.cancellation.requested_at is 'Set once.';

-- Limits ---------------------------------------------------------------------------------------------

create table queue.gate (
    key         text primary key,
    capacity    integer,
    rate_count  integer,
    rate_ms     bigint,
    tokens      double precision not null default 0,
    refilled_at timestamptz not null default clock_timestamp(),
    constraint gate_rate_is_whole check ((rate_count is null) = (rate_ms is null))
);
comment on table queue.gate is 'One limit key: whoever admits tasks under it locks its row.';
comment on column queue.gate.key is 'Set once.';
comment on column queue.gate.capacity is 'Changes with the step that asks last: tasks under the key that may be ready or running at a time.';
comment on column queue.gate.rate_count is 'Changes with the step that asks last: tokens that come back within rate_ms, and the most there are.';
comment on column queue.gate.rate_ms is 'Changes with rate_count.';
comment on column queue.gate.tokens is 'Falls by one with every admission; refilled as time goes by.';
comment on column queue.gate.refilled_at is 'Changes whenever tokens are refilled.';

create table queue.admitted (
    task_id bigint primary key,
    key     text not null
);
create index admitted_key on queue.admitted (key);
comment on table queue.admitted is 'Tasks that hold a place under a key with a capacity; the rows are the count, so that no counter can leak.';
comment on column queue.admitted.task_id is 'Set once.';
comment on column queue.admitted.key is 'Set once.';

create table queue.waiting (
    key      text not null,
    priority smallint not null,
    seq      bigint not null default nextval('queue.ready_seq'),
    task_id  bigint not null,
    primary key (key, priority, seq)
);
comment on table queue.waiting is 'Tasks that could be ready but for their limit.';
comment on column queue.waiting.key is 'Set once.';
comment on column queue.waiting.priority is 'Set once.';
comment on column queue.waiting.seq is 'Set once: first in, first out within a priority.';
comment on column queue.waiting.task_id is 'Set once.';

create table queue.knock (
    key text not null
);
comment on table queue.knock is 'Keys under which many tasks ended at once: a scheduler opens their gates, so that acknowledgements do not wait for each other there.';
comment on column queue.knock.key is 'Set once.';

create table queue.turn (
    pool     smallint not null,
    priority smallint not null,
    tenant   text not null,
    seq      bigint not null,
    primary key (pool, priority, tenant)
);
comment on table queue.turn is 'How far each tenant''s tasks reach in a pool''s order: the next one comes behind them, and level with the other tenants.';
comment on column queue.turn.pool is 'Set once.';
comment on column queue.turn.priority is 'Set once.';
comment on column queue.turn.tenant is 'Set once.';
comment on column queue.turn.seq is 'Grows with every task of the tenant that becomes ready.';

create table queue.place (
    run_id     uuid primary key references queue.run (id),
    pipeline   text not null,
    is_waiting boolean not null,
    seq        bigint generated always as identity
);
create index place_pipeline on queue.place (pipeline, is_waiting, seq);
comment on table queue.place is 'Runs of pipelines that limit or pause their runs: those that go on, and those that wait. Rows are the count.';
comment on column queue.place.run_id is 'Set once.';
comment on column queue.place.pipeline is 'Set once.';
comment on column queue.place.is_waiting is 'Changes once, when the run may go on.';
comment on column queue.place.seq is 'Set once: first come, first served.';

-- Approval -------------------------------------------------------------------------------------------

create type queue.decision as enum ('approved', 'rejected');

create table queue.approval (
    task_id      bigint primary key,
    run_id       uuid not null,
    step         smallint not null,
    prompt       text,
    requested_at timestamptz not null default clock_timestamp(),
    due_at       timestamptz,
    on_timeout   queue.decision not null default 'rejected',
    decision     queue.decision,
    decided_at   timestamptz,
    decided_by   text,
    reason       text,
    foreign key (run_id, step) references queue.step (run_id, index),
    constraint approval_is_decided_once check
        ((decision is null) = (decided_at is null) and (decision is null) = (decided_by is null))
);
create index approval_open on queue.approval (due_at) where decision is null;
comment on table queue.approval is 'Questions that wait for a person, and their answers.';
comment on column queue.approval.task_id is 'Set once: the task that waits.';
comment on column queue.approval.run_id is 'Set once.';
comment on column queue.approval.step is 'Set once: the index of the step.';
comment on column queue.approval.prompt is 'Set once: the question.';
comment on column queue.approval.requested_at is 'Set once.';
comment on column queue.approval.due_at is 'Set once: when on_timeout decides.';
comment on column queue.approval.on_timeout is 'Set once.';
comment on column queue.approval.decision is 'Set once, by a person or by the time-out.';
comment on column queue.approval.decided_at is 'Set with the decision.';
comment on column queue.approval.decided_by is 'Set with the decision.';
comment on column queue.approval.reason is 'Set with the decision, where one was given.';

-- Audit ----------------------------------------------------------------------------------------------

create table queue.audit (
    id      bigint generated always as identity primary key,
    at      timestamptz not null default clock_timestamp(),
    actor   text not null,
    action  text not null,
    subject text not null,
    details jsonb not null default '{}',
    constraint audit_words check (action ~ '^[a-z][a-z0-9_.-]*$' and length(subject) <= 500)
);
create index audit_subject on queue.audit (subject, id);
comment on table queue.audit is 'What operators did; rows are only ever added.';
comment on column queue.audit.id is 'Set once: the order of events.';
comment on column queue.audit.at is 'Set once.';
comment on column queue.audit.actor is 'Set once: who, as the machine knows them.';
comment on column queue.audit.action is 'Set once: what, such as run.cancel.';
comment on column queue.audit.subject is 'Set once: to what: a run''s id, a pipeline''s or a pool''s name.';
comment on column queue.audit.details is 'Set once.';

create function queue.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'rows of %.% are only ever added', tg_table_schema, tg_table_name using errcode = '42501';
end $$;
create trigger audit_is_append_only before update or delete or truncate on queue.audit
    for each statement execute function queue.refuse_change();
