-- Logs: a hot tail in queue.log, and one object of the store for each attempt that has ended.

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
