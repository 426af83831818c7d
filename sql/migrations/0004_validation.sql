-- Schema validation: the evidence of Proof of Validation. Rows are inserted once and never changed.

create schema validation;

create table validation.round (
    lineage         text        not null,
    round           integer     not null,
    base_digest     bytea       not null,
    evidence_digest bytea       not null,
    evidence        jsonb       not null,
    memory          jsonb       not null,
    recorded_at     timestamptz not null default now(),
    constraint round_pkey primary key (lineage, round),
    constraint round_lineage_length check (char_length(lineage) between 1 and 200),
    constraint round_number_positive check (round > 0),
    constraint round_base_digest_length check (octet_length(base_digest) = 32),
    constraint round_evidence_digest_length check (octet_length(evidence_digest) = 32),
    constraint round_evidence_is_object check (jsonb_typeof(evidence) = 'object'),
    constraint round_memory_is_object check (jsonb_typeof(memory) = 'object')
);

create index round_recorded_at_idx on validation.round (recorded_at desc);

comment on table validation.round is
    'The decision on one round of training: everything that went into it. Inserted by the deciding task, never changed.';
comment on column validation.round.lineage is 'The training that the round belongs to; set on insertion, never changes.';
comment on column validation.round.round is 'Number of the round in its lineage, from 1; set on insertion, never changes.';
comment on column validation.round.base_digest is 'SHA-256 of the model that the updates change; set on insertion, never changes.';
comment on column validation.round.evidence_digest is 'SHA-256 of evidence, memory and verdicts as they were recorded; set on insertion, never changes.';
comment on column validation.round.evidence is 'Rules, panel, reports and the memory before: the inputs of the decision; set on insertion, never changes.';
comment on column validation.round.memory is 'What the next round remembers of each participant, in 2^-20 spreads; set on insertion, never changes.';
comment on column validation.round.recorded_at is 'When the deciding transaction began; set on insertion, never changes.';

create table validation.verdict (
    lineage   text    not null,
    round     integer not null,
    generator uuid    not null,
    outcome   text    not null,
    reason    text,
    details   jsonb   not null,
    constraint verdict_pkey primary key (lineage, round, generator),
    constraint verdict_round_fkey foreign key (lineage, round) references validation.round (lineage, round),
    constraint verdict_outcome_known check (outcome in ('accepted', 'rejected', 'deferred')),
    -- Whoever is not accepted is told why; whoever is accepted needs no reason.
    constraint verdict_reason_iff_not_accepted check ((outcome = 'accepted') = (reason is null)),
    constraint verdict_details_is_object check (jsonb_typeof(details) = 'object')
);

create index verdict_generator_idx on validation.verdict (generator, lineage, round);

comment on table validation.verdict is
    'What became of each update of a round. Inserted with the round, never changed.';
comment on column validation.verdict.lineage is 'The training; set on insertion, never changes.';
comment on column validation.verdict.round is 'The round; set on insertion, never changes.';
comment on column validation.verdict.generator is 'Who sent the update; set on insertion, never changes.';
comment on column validation.verdict.outcome is 'accepted, rejected or deferred; set on insertion, never changes.';
comment on column validation.verdict.reason is 'Why it was not accepted, for people; set on insertion, never changes.';
comment on column validation.verdict.details is 'The outcome with its numbers, and every vote; set on insertion, never changes.';

create table validation.outcome (
    lineage       text        not null,
    round         integer     not null,
    epoch         date        not null,
    result_digest bytea       not null,
    rows          bigint      not null,
    loss_before   bigint      not null,
    loss_after    bigint      not null,
    loss_drop     bigint      not null,
    residual      bigint      not null,
    recorded_at   timestamptz not null default now(),
    constraint outcome_pkey primary key (lineage, round),
    constraint outcome_lineage_length check (char_length(lineage) between 1 and 200),
    constraint outcome_number_positive check (round > 0),
    constraint outcome_result_digest_length check (octet_length(result_digest) = 32),
    constraint outcome_rows_positive check (rows > 0)
);

create index outcome_epoch_idx on validation.outcome (epoch);

comment on table validation.outcome is
    'What a round did to the held-out loss. Inserted by the publishing task, never changed.';
comment on column validation.outcome.lineage is 'The training; set on insertion, never changes.';
comment on column validation.outcome.round is 'The round; set on insertion, never changes.';
comment on column validation.outcome.epoch is 'The UTC day in whose settlement the round counts; set on insertion, never changes.';
comment on column validation.outcome.result_digest is 'SHA-256 of the model after the round; set on insertion, never changes.';
comment on column validation.outcome.rows is 'Held-out rows that were measured; set on insertion, never changes.';
comment on column validation.outcome.loss_before is 'Sum of their losses under the old model, in 2^-20 nats; set on insertion, never changes.';
comment on column validation.outcome.loss_after is 'Sum of their losses under the new model, in 2^-20 nats; set on insertion, never changes.';
comment on column validation.outcome.loss_drop is 'Fall of the mean loss, in nano-nats; set on insertion, never changes.';
comment on column validation.outcome.residual is 'loss_drop minus the points of all contributions, in nano-nats; set on insertion, never changes.';
comment on column validation.outcome.recorded_at is 'When the publishing transaction began; set on insertion, never changes.';

create table validation.contribution (
    lineage   text    not null,
    round     integer not null,
    generator uuid    not null,
    points    bigint  not null,
    constraint contribution_pkey primary key (lineage, round, generator),
    constraint contribution_outcome_fkey foreign key (lineage, round) references validation.outcome (lineage, round)
);

comment on table validation.contribution is
    'The points of each accepted update. Inserted with the outcome of its round, never changed.';
comment on column validation.contribution.lineage is 'The training; set on insertion, never changes.';
comment on column validation.contribution.round is 'The round; set on insertion, never changes.';
comment on column validation.contribution.generator is 'Who sent the update; set on insertion, never changes.';
comment on column validation.contribution.points is 'Its share of the fall of the held-out loss, in nano-nats, negative for a rise; set on insertion, never changes.';
