-- How long a run and a task may take in all, and how often a task is tried again by class of error.

create table queue.deadline (
    run_id  uuid primary key references queue.run (id) on delete cascade,
    due_at  timestamptz not null,
    cancels boolean not null,
    hook    jsonb
);
create index deadline_due_at on queue.deadline (due_at);
comment on table queue.deadline is
    'Runs that are to have ended by a time; a scheduler deletes the row when that has come, and raises an alert in the same transaction where the run goes on.';
comment on column queue.deadline.run_id is 'Set once.';
comment on column queue.deadline.due_at is 'Set once: after the fire''s time or, without one, the run''s start; or when the run was given a deadline of its own.';
comment on column queue.deadline.cancels is 'Set once: whether the run is then told to stop.';
comment on column queue.deadline.hook is 'Set once: the pipeline that is then run, and its params.';

create table queue.alert (
    id            bigint generated always as identity primary key,
    run_id        uuid not null references queue.run (id) on delete cascade,
    kind          text not null,
    due_at        timestamptz not null,
    raised_at     timestamptz not null default clock_timestamp(),
    cancelled     boolean not null,
    hook_pipeline text,
    hook_run      uuid,
    hook_error    text,
    constraint alert_once unique (run_id, kind),
    constraint alert_kind check (kind in ('deadline')),
    constraint alert_hook check (hook_pipeline is not null or (hook_run is null and hook_error is null))
);
comment on table queue.alert is 'What operators should know of: runs that went on past their deadlines. Rows are only added.';
comment on column queue.alert.id is 'Set once: the order of alerts.';
comment on column queue.alert.run_id is 'Set once.';
comment on column queue.alert.kind is 'Set once: why the alert was raised.';
comment on column queue.alert.due_at is 'Set once: when the run was to have ended.';
comment on column queue.alert.raised_at is 'Set once.';
comment on column queue.alert.cancelled is 'Set once: whether the run was told to stop.';
comment on column queue.alert.hook_pipeline is 'Set once: the pipeline that was to run.';
comment on column queue.alert.hook_run is 'Set once, with the alert: the run that the alert started.';
comment on column queue.alert.hook_error is 'Set once, with the alert: why that run could not start.';

alter table queue.step
    add column retry_classes jsonb,
    add column timeout_total_ms bigint,
    add constraint step_timeout_total_range check (timeout_total_ms >= 1);
-- it never changes, so that updates of steps stay in place
create index step_timeout_total on queue.step (run_id) where timeout_total_ms is not null;
comment on column queue.step.retry_classes is
    'Set once: by class of error, attempts and bounds of the back-off that differ from the step''s own; read when an attempt fails. A name that ends in * stands for all that begin so; crashed is for lost leases.';
comment on column queue.step.timeout_total_ms is 'Set once: how long a task may take over all its attempts.';

alter table queue.task
    add column class_failures jsonb,
    add column began_at timestamptz;
comment on column queue.task.class_failures is
    'Changes at each failed attempt whose class has a policy of its own: how many there were, by the policy''s name.';
comment on column queue.task.began_at is
    'Set by the first attempt that fails or is lost where the step has timeout_total_ms: when that attempt began. Unset when the run is retried.';

alter table queue.attempt add column class text,
    add constraint attempt_class_shape check (class ~ '^[a-z0-9][a-z0-9_-]{0,62}$');
comment on column queue.attempt.class is 'Set once: the class of the error, where the task told it.';
