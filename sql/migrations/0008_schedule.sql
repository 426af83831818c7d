-- Schedules: which pipelines start by themselves, which fires have started, and back-fills.
--
-- A fire is a pair of a pipeline and an instant. Its row in schedule.fire commits together with the run that it
-- starts, and the primary key lets no second run start for it, whoever asks: a schedule, another scheduler, a back-fill.

alter table queue.run add column fire_time timestamptz;
comment on column queue.run.fire_time is
    'Set once: the instant at which a schedule had the run start (run.fire_time in expressions); null otherwise.';

create schema schedule;

create table schedule.schedule (
    pipeline   text primary key,
    version_id bigint not null,
    definition jsonb not null,
    next_fire  timestamptz,
    paused_at  timestamptz,
    last_fire  timestamptz,
    error      text,
    error_at   timestamptz,
    applied_at timestamptz not null default clock_timestamp(),
    constraint schedule_error_has_its_time check ((error is null) = (error_at is null))
);
create index schedule_next_fire on schedule.schedule (next_fire) where paused_at is null;
comment on table schedule.schedule is 'The pipelines whose current version has a schedule.';
comment on column schedule.schedule.pipeline is 'Set once: the pipeline; the row goes when a version without a schedule is applied.';
comment on column schedule.schedule.version_id is 'Changes when another version is applied: the version that the definition came from.';
comment on column schedule.schedule.definition is 'Changes when another schedule is applied: expression, zone, day, missed fires, params.';
comment on column schedule.schedule.next_fire is
    'Moves on by compare-and-set with each fire; set anew when expression or zone change and on resume. Null: never again.';
comment on column schedule.schedule.paused_at is 'Set by pausing, cleared by resuming; nothing fires in between.';
comment on column schedule.schedule.last_fire is 'Changes with each fire: the latest that was dealt with.';
comment on column schedule.schedule.error is 'Set when a fire could not start its run; cleared by the next that can, and by applying.';
comment on column schedule.schedule.error_at is 'Changes with error.';
comment on column schedule.schedule.applied_at is 'Changes whenever the schedule is applied.';

create table schedule.backfill (
    id          bigint generated always as identity primary key,
    pipeline    text not null,
    first_day   date not null,
    last_day    date not null,
    definition  jsonb not null,
    concurrency integer not null,
    next_fire   timestamptz,
    last_fire   timestamptz not null,
    total       integer not null,
    started     integer not null default 0,
    known       integer not null default 0,
    failed      integer not null default 0,
    open_runs   uuid[] not null default '{}',
    created_at  timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    constraint backfill_days_in_order check (first_day <= last_day),
    constraint backfill_concurrency_range check (concurrency between 1 and 1000),
    constraint backfill_open_runs_within_concurrency check (cardinality(open_runs) <= concurrency),
    constraint backfill_counts check (started + known + failed <= total),
    constraint backfill_ends_when_all_is_over check
        (finished_at is null or (next_fire is null and cardinality(open_runs) = 0))
);
create unique index backfill_once_at_a_time on schedule.backfill (pipeline, first_day, last_day)
    where finished_at is null;
comment on table schedule.backfill is 'Fires of the past that are started now, some at a time.';
comment on column schedule.backfill.id is 'Set once.';
comment on column schedule.backfill.pipeline is 'Set once.';
comment on column schedule.backfill.first_day is 'Set once: the first day that its runs are about.';
comment on column schedule.backfill.last_day is 'Set once: the last day that its runs are about.';
comment on column schedule.backfill.definition is 'Set once: the schedule as it was when the back-fill was asked for.';
comment on column schedule.backfill.concurrency is 'Set once: how many of its runs may be open at a time.';
comment on column schedule.backfill.next_fire is 'Moves on with each fire that is dealt with; null when none is left.';
comment on column schedule.backfill.last_fire is 'Set once: the last fire of its days.';
comment on column schedule.backfill.total is 'Set once: how many fires its days have.';
comment on column schedule.backfill.started is 'Rises by one with each run that it starts.';
comment on column schedule.backfill.known is 'Rises by one with each fire that had its run already.';
comment on column schedule.backfill.failed is 'Rises by one with each fire whose run could not be started.';
comment on column schedule.backfill.open_runs is 'Gains each run that it starts, loses those that have ended.';
comment on column schedule.backfill.created_at is 'Set once.';
comment on column schedule.backfill.finished_at is 'Set once, when every fire is dealt with and every run has ended.';

create table schedule.fire (
    pipeline     text not null,
    fire_at      timestamptz not null,
    logical_date date not null,
    run_id       uuid,
    error        text,
    backfill_id  bigint references schedule.backfill (id),
    created_at   timestamptz not null default clock_timestamp(),
    primary key (pipeline, fire_at),
    constraint fire_has_a_run_or_an_error check ((run_id is null) = (error is not null))
);
comment on table schedule.fire is 'Fires that were dealt with: the primary key is what makes each start one run.';
comment on column schedule.fire.pipeline is 'Set once.';
comment on column schedule.fire.fire_at is 'Set once: the instant of the timetable, not that of the start.';
comment on column schedule.fire.logical_date is 'Set once: the day that the run is about.';
comment on column schedule.fire.run_id is 'Set with the row; null where the run could not start, until a back-fill starts it.';
comment on column schedule.fire.error is 'Set with the row where the run could not start; cleared by a back-fill that starts it.';
comment on column schedule.fire.backfill_id is 'The back-fill that started the run; null where the schedule did.';
comment on column schedule.fire.created_at is 'Set once.';

-- Triggers: runs that events start -------------------------------------------------------------------

create table schedule.trigger (
    pipeline   text not null,
    index      smallint not null,
    version_id bigint not null,
    definition jsonb not null,
    watches    text,
    prefix     text,
    every_ms   bigint,
    next_look  timestamptz,
    error      text,
    error_at   timestamptz,
    primary key (pipeline, index),
    constraint trigger_waits_for_one_thing check ((watches is null) <> (prefix is null)),
    constraint trigger_looks_at_its_prefix check
        ((prefix is null) = (every_ms is null) and (prefix is null) = (next_look is null)),
    constraint trigger_error_has_its_time check ((error is null) = (error_at is null))
);
create index trigger_watches on schedule.trigger (watches) where watches is not null;
create index trigger_next_look on schedule.trigger (next_look) where next_look is not null;
comment on table schedule.trigger is 'The triggers of the pipelines'' current versions; applying a version replaces those of its pipeline.';
comment on column schedule.trigger.pipeline is 'Set once: the pipeline whose runs it starts.';
comment on column schedule.trigger.index is 'Set once: its place in the pipeline.';
comment on column schedule.trigger.version_id is 'Set once: the version that it came from.';
comment on column schedule.trigger.definition is 'Set once: the event and the params.';
comment on column schedule.trigger.watches is 'Set once: the pipeline whose ended runs it waits for.';
comment on column schedule.trigger.prefix is 'Set once: the folder of the object store that it looks at.';
comment on column schedule.trigger.every_ms is 'Set once: how often it looks.';
comment on column schedule.trigger.next_look is 'Moves on with each look.';
comment on column schedule.trigger.error is 'Set when an event could not start its run or the store could not be listed; cleared when it can.';
comment on column schedule.trigger.error_at is 'Changes with error.';

create table schedule.ended_run (
    id       bigint generated always as identity primary key,
    run_id   uuid not null,
    pipeline text not null,
    state    text not null
);
comment on table schedule.ended_run is
    'Ended runs that triggers have not dealt with: a row comes with the end of the run and goes with the runs that it starts.';
comment on column schedule.ended_run.id is 'Set once.';
comment on column schedule.ended_run.run_id is 'Set once: the run that has ended.';
comment on column schedule.ended_run.pipeline is 'Set once: its pipeline.';
comment on column schedule.ended_run.state is 'Set once: how it ended.';

create function schedule.note_ended_run() returns trigger language plpgsql as $$
begin
    insert into schedule.ended_run (run_id, pipeline, state)
    select new.id, new.pipeline, new.state::text
    where exists (select from schedule.trigger t where t.watches = new.pipeline);
    return null;
end $$;
comment on function schedule.note_ended_run is 'Keeps the end of a run that a trigger waits for, in the transaction that ends it.';

create trigger run_ended after update of finished_at on queue.run
    for each row when (old.finished_at is null and new.finished_at is not null)
    execute function schedule.note_ended_run();

create table schedule.seen_object (
    pipeline text not null,
    prefix   text not null,
    path     text not null,
    version  text not null,
    run_id   uuid,
    error    text,
    seen_at  timestamptz not null default clock_timestamp(),
    primary key (pipeline, prefix, path, version),
    constraint seen_object_has_a_run_or_an_error check ((run_id is null) = (error is not null))
);
comment on table schedule.seen_object is
    'Objects under the prefixes of triggers that have started their run; a row goes when the object''s version is there no more.';
comment on column schedule.seen_object.pipeline is 'Set once: the pipeline of the trigger.';
comment on column schedule.seen_object.prefix is 'Set once: the prefix of the trigger.';
comment on column schedule.seen_object.path is 'Set once: the object''s key in the store.';
comment on column schedule.seen_object.version is 'Set once: its entity tag, or size and time where the store has none.';
comment on column schedule.seen_object.run_id is 'Set with the row: the run that it started.';
comment on column schedule.seen_object.error is 'Set with the row where the run could not start.';
comment on column schedule.seen_object.seen_at is 'Set once.';
