-- History: logs, which are a hot tail and one object of the store for each attempt that has ended; and runs that ended long ago.

-- programs of the release before do not number their lines
create sequence queue.log_seq;
alter table queue.log
    add column seq bigint not null default nextval('queue.log_seq'),
    add column attempt_number smallint not null default 0;
comment on table queue.log is
    'What attempts print while they run. The lines of an attempt count until it has a row in attempt_log, and go after that.';
comment on column queue.log.seq is
    'Set once: the line''s place in its attempt. One process stores them in this order, so that what can be seen has no gaps.';
comment on column queue.log.attempt_number is 'Set once: which attempt at the task it is, from 1; 0 where the program did not say.';
-- the way to an attempt's lines, from one attempt to the next, and what makes storing a line twice the same as once
create unique index log_line on queue.log (run_id, attempt_id, seq);
drop index queue.log_run;
alter table queue.log set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

create table queue.attempt_log (
    attempt_id     bigint primary key,
    attempt_number smallint not null,
    run_id         uuid not null,
    task_id        bigint not null,
    step           text not null,
    index          integer not null,
    digest         bytea not null,
    size_bytes     bigint not null,
    lines          bigint not null,
    text_bytes     bigint not null,
    left_out_bytes bigint,
    first_at       timestamptz not null,
    last_at        timestamptz not null,
    archived_at    timestamptz not null default clock_timestamp(),
    constraint attempt_log_digest_is_sha256 check (octet_length(digest) = 32),
    constraint attempt_log_counts check (size_bytes > 0 and lines > 0 and text_bytes >= 0 and left_out_bytes >= 0)
);
create index attempt_log_run on queue.attempt_log (run_id);
comment on table queue.attempt_log is
    'Where the whole log of an attempt is that printed something and has ended: an object of the store. Rows never change.';
comment on column queue.attempt_log.attempt_id is 'Set once.';
comment on column queue.attempt_log.attempt_number is 'Set once: which attempt at the task it is, from 1; 0 where nobody said.';
comment on column queue.attempt_log.run_id is 'Set once.';
comment on column queue.attempt_log.task_id is 'Set once.';
comment on column queue.attempt_log.step is 'Set once: the step''s name, kept here because a retry may find a fan-out''s tasks anew.';
comment on column queue.attempt_log.index is 'Set once: the task''s place in the step''s fan-out.';
comment on column queue.attempt_log.digest is 'Set once: SHA-256 and key of the object.';
comment on column queue.attempt_log.size_bytes is 'Set once: length of the object.';
comment on column queue.attempt_log.lines is 'Set once: how many lines it holds.';
comment on column queue.attempt_log.text_bytes is 'Set once: how many bytes of text these have.';
comment on column queue.attempt_log.left_out_bytes is
    'Set once: what the attempt printed beyond its limit; null where its worker was lost, so that nobody knows.';
comment on column queue.attempt_log.first_at is 'Set once: when the first line was printed.';
comment on column queue.attempt_log.last_at is 'Set once: when the last line was printed.';
comment on column queue.attempt_log.archived_at is 'Set once.';

-- Retention: runs that ended long ago become objects of the store, and their rows go ---------------------

create table queue.retention (
    pipeline     text primary key,
    keep_seconds bigint,
    keep_last    integer not null default 0,
    set_at       timestamptz not null default clock_timestamp(),
    constraint retention_pipeline_shape check (pipeline = '*' or pipeline ~ '^[a-z][a-z0-9_-]{0,62}$'),
    constraint retention_ranges check (keep_seconds >= 0 and keep_last between 0 and 1000000)
);
comment on table queue.retention is
    'How long the runs of pipelines stay in the database; those of a pipeline without a row as the row * says, or for ever.';
comment on column queue.retention.pipeline is 'Set once: the pipeline; * stands for those that have no row.';
comment on column queue.retention.keep_seconds is 'Changes with `tale retention set`: how long after its end a run stays; null for ever.';
comment on column queue.retention.keep_last is 'Changes with `tale retention set`: how many of the newest ended runs stay whatever their age.';
comment on column queue.retention.set_at is 'Changes with `tale retention set`.';

create table queue.archived_run (
    run_id       uuid primary key,
    pipeline     text not null,
    state        text not null,
    trigger      text not null,
    logical_date date not null,
    dedup_key    text,
    is_sub_run   boolean not null,
    steps        integer not null,
    failed_steps integer not null,
    created_at   timestamptz not null,
    finished_at  timestamptz not null,
    digest       bytea not null,
    size_bytes   bigint not null,
    archived_at  timestamptz not null default clock_timestamp(),
    dropped_at   timestamptz,
    constraint archived_run_digest_is_sha256 check (octet_length(digest) = 32)
);
create index archived_run_created_at on queue.archived_run (created_at desc);
create index archived_run_dedup_key on queue.archived_run (pipeline, dedup_key) where dedup_key is not null;
create index archived_run_undropped on queue.archived_run (archived_at) where dropped_at is null;
comment on table queue.archived_run is 'Runs that are an object of the store: from this row on the object counts, and the rows elsewhere go in small batches.';
comment on column queue.archived_run.run_id is 'Set once.';
comment on column queue.archived_run.pipeline is 'Set once.';
comment on column queue.archived_run.state is 'Set once: how the run ended.';
comment on column queue.archived_run.trigger is 'Set once: who or what started the run.';
comment on column queue.archived_run.logical_date is 'Set once: the UTC day that the run was about.';
comment on column queue.archived_run.dedup_key is 'Set once: starting a run with this key still gives this run.';
comment on column queue.archived_run.is_sub_run is 'Set once: whether another run waited for it.';
comment on column queue.archived_run.steps is 'Set once: how many steps it had.';
comment on column queue.archived_run.failed_steps is 'Set once: how many of them failed or were barred.';
comment on column queue.archived_run.created_at is 'Set once: when the run was started.';
comment on column queue.archived_run.finished_at is 'Set once: when the run ended.';
comment on column queue.archived_run.digest is 'Set once: SHA-256 and key of the object, which may hold other runs too.';
comment on column queue.archived_run.size_bytes is 'Set once: length of the object.';
comment on column queue.archived_run.archived_at is 'Set once.';
comment on column queue.archived_run.dropped_at is 'Set once, when the last row of the run elsewhere is gone.';

-- the oldest runs of a pipeline; neither column changes when a run ends, so that its end stays an update in place
create index run_pipeline on queue.run (pipeline, created_at);
-- dropping a step looks for its questions
create index approval_step on queue.approval (run_id, step);

-- history comes and goes now: what it leaves is cleared by count, not by share of the table
alter table queue.run set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
alter table queue.step set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
alter table queue.attempt set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
alter table queue.attempt_log set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
