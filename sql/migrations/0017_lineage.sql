-- Lineage: which attempt read and wrote which objects, and the news of runs for those who keep lineage elsewhere.

create type storage.object_role as enum ('argument', 'read', 'written');

create table storage.production (
    attempt_id   bigint primary key,
    task_id      bigint not null,
    run_id       uuid not null,
    pipeline     text not null,
    step         text not null,
    index        integer not null,
    kind         text not null,
    is_cut       boolean not null default false,
    started_at   timestamptz not null,
    produced_at  timestamptz not null default now()
);
create index production_run on storage.production (run_id);
comment on table storage.production is
    'Attempts that read or wrote objects: a row exists only through the acknowledgement that won, and is never changed. It stays when its run is archived.';
comment on column storage.production.attempt_id is 'Set once: the attempt whose acknowledgement won.';
comment on column storage.production.task_id is 'Set once.';
comment on column storage.production.run_id is 'Set once.';
comment on column storage.production.pipeline is 'Set once: the run''s pipeline.';
comment on column storage.production.step is 'Set once: the step''s name.';
comment on column storage.production.index is 'Set once: the task''s place in the step''s fan-out.';
comment on column storage.production.kind is 'Set once: the task kind.';
comment on column storage.production.is_cut is 'Set once: whether the attempt touched more objects than are recorded.';
comment on column storage.production.started_at is 'Set once: when the attempt began, by the database''s clock less what the worker measured.';
comment on column storage.production.produced_at is 'Set once: when the acknowledgement''s transaction began.';

create table storage.touched_object (
    attempt_id bigint not null,
    role       storage.object_role not null,
    digest     bytea,
    name       text,
    size_bytes bigint,
    constraint touched_object_is_known check (digest is not null or name is not null),
    constraint touched_object_digest_length check (octet_length(digest) = 32)
);
create index touched_object_attempt on storage.touched_object (attempt_id);
create index touched_object_digest on storage.touched_object (digest) where digest is not null;
comment on table storage.touched_object is
    'What the attempts in storage.production were given, read and wrote; rows come with their production and never change.';
comment on column storage.touched_object.attempt_id is 'Set once.';
comment on column storage.touched_object.role is 'Set once: named in the arguments, read, or written.';
comment on column storage.touched_object.digest is 'Set once: SHA-256 of the bytes; null for what is found by its place alone.';
comment on column storage.touched_object.name is 'Set once: the data set whose manifest it is, or the path of what has no digest.';
comment on column storage.touched_object.size_bytes is 'Set once, where it is known.';
-- which artifacts an object is
create index artifact_digest_idx on storage.artifact (digest);
create index artifact_name_idx on storage.artifact (name, id);

-- News of runs ---------------------------------------------------------------------------------------

create table queue.run_news (
    id              bigint generated always as identity primary key,
    run_id          uuid not null,
    pipeline        text not null,
    event           text not null,
    at              timestamptz not null,
    started_at      timestamptz not null,
    fire_time       timestamptz,
    parent_run      uuid,
    parent_pipeline text,
    error           text,
    constraint run_news_event_known check (event in ('started', 'succeeded', 'failed', 'cancelled'))
);
comment on table queue.run_news is
    'Starts and ends of runs that were not told yet to those who keep lineage elsewhere: a row comes with the change and goes when it was told.';
comment on column queue.run_news.id is 'Set once: the order in which to tell.';
comment on column queue.run_news.run_id is 'Set once.';
comment on column queue.run_news.pipeline is 'Set once: the run''s pipeline.';
comment on column queue.run_news.event is 'Set once: that it started (or was retried), or how it ended.';
comment on column queue.run_news.at is 'Set once: when.';
comment on column queue.run_news.started_at is 'Set once: when the run was started.';
comment on column queue.run_news.fire_time is 'Set once: the instant at which a schedule had it start.';
comment on column queue.run_news.parent_run is 'Set once: the run that waits for it.';
comment on column queue.run_news.parent_pipeline is 'Set once: that run''s pipeline.';
comment on column queue.run_news.error is 'Set once, for a failed run: the error of one of its tasks.';

create function queue.note_run_news() returns trigger language plpgsql as $$
begin
    insert into queue.run_news (run_id, pipeline, event, at, started_at, fire_time, parent_run, parent_pipeline, error)
    select new.id, new.pipeline, case when new.finished_at is null then 'started' else new.state::text end,
           clock_timestamp(), new.created_at, new.fire_time, p.id, p.pipeline,
           case when new.state = 'failed' then (
               select t.error from queue.task t where t.run_id = new.id and t.error is not null order by t.id limit 1) end
    from (values (1)) one (n)
    left join queue.task w on w.id = new.parent_task
    left join queue.run p on p.id = w.run_id;
    return null;
end $$;
comment on function queue.note_run_news is 'Keeps the start or the end of a run, in the transaction that it happens in.';

-- off until somebody wants to be told: then neither costs anything
create trigger run_news_start after insert on queue.run for each row execute function queue.note_run_news();
create trigger run_news_end after update of finished_at on queue.run
    for each row when (old.finished_at is distinct from new.finished_at) execute function queue.note_run_news();
alter table queue.run disable trigger run_news_start;
alter table queue.run disable trigger run_news_end;
