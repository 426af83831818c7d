-- Results that are kept: a task of a step with `cache` may take the result of an earlier one instead of running.

alter table queue.run add column uses_cache boolean not null default true;
comment on column queue.run.uses_cache is 'Set once: whether its tasks may take results that were kept; false with `tale run --no-cache`, and in the sub-runs of such a run.';

alter table queue.step
    add column caches boolean not null default false,
    add column cache_ttl_ms bigint,
    add constraint step_cache_is_whole check (cache_ttl_ms is null or caches and cache_ttl_ms > 0);
comment on column queue.step.caches is 'Set once: whether the results of its tasks are kept, and taken.';
comment on column queue.step.cache_ttl_ms is 'Set once: how old a result may be that is taken.';

alter table queue.task add column cache_key text,
    add constraint task_cache_key_length check (length(cache_key) between 1 and 500);
comment on column queue.task.cache_key is 'Set once: what the result is known by, where the step says so; else its kind and arguments.';

create table queue.cached_result (
    pipeline     text not null,
    step         text not null,
    key          bytea not null,
    kind         text not null,
    kind_version integer not null,
    inputs       jsonb,
    outputs      jsonb,
    artifacts    jsonb not null,
    run_id       uuid not null,
    task_id      bigint not null,
    created_at   timestamptz not null default clock_timestamp(),
    primary key (pipeline, step, key),
    constraint cached_result_key_is_sha256 check (length(key) = 32),
    constraint cached_result_artifacts_are_a_list check (jsonb_typeof(artifacts) = 'array')
);
create index cached_result_newest on queue.cached_result (pipeline, step, created_at desc);
comment on table queue.cached_result is 'Results that later tasks of the same step may take; a row comes with the acknowledgement of the task that computed it.';
comment on column queue.cached_result.pipeline is 'Set once: results are taken within one pipeline.';
comment on column queue.cached_result.step is 'Set once: and within one step.';
comment on column queue.cached_result.key is 'Set once: SHA-256 of the kind, its version and the inputs.';
comment on column queue.cached_result.kind is 'Set once.';
comment on column queue.cached_result.kind_version is 'Set once.';
comment on column queue.cached_result.inputs is 'Set once: the arguments, with secrets by their names, or the key that the step gives; null where they are too long to be kept. For saying what differs.';
comment on column queue.cached_result.outputs is 'Changes when the same inputs are computed again: what the task returned.';
comment on column queue.cached_result.artifacts is 'Changes with outputs: name, media type, digest and size of each artifact.';
comment on column queue.cached_result.run_id is 'Changes with outputs: where it was computed.';
comment on column queue.cached_result.task_id is 'Changes with outputs: by which task.';
comment on column queue.cached_result.created_at is 'Changes with outputs.';

create table queue.cache_decision (
    task_id     bigint primary key references queue.task (id) on delete cascade,
    is_hit      boolean not null,
    reason      text not null,
    from_run    uuid,
    from_task   bigint,
    constraint cache_decision_hit_has_its_source check
        (is_hit = (from_run is not null) and is_hit = (from_task is not null))
);
comment on table queue.cache_decision is 'Why tasks took a result that was kept, or did not; a row comes with the acknowledgement.';
comment on column queue.cache_decision.task_id is 'Set once.';
comment on column queue.cache_decision.is_hit is 'Changes when the task runs again: whether it took a result.';
comment on column queue.cache_decision.reason is 'Changes with is_hit: in words.';
comment on column queue.cache_decision.from_run is 'Changes with is_hit: the run that computed the result.';
comment on column queue.cache_decision.from_task is 'Changes with is_hit: the task that computed it.';
