-- Schema storage: which objects of the store mean something, and to whom.
-- The bytes themselves are in the object store, under their SHA-256.

create schema storage;

create table storage.artifact (
    id         bigint generated always as identity,
    run_id     uuid        not null,
    task_id    bigint      not null,
    attempt_id bigint      not null,
    name       text        not null,
    media_type text        not null,
    digest     bytea       not null,
    size_bytes bigint      not null,
    created_at timestamptz not null default now(),
    constraint artifact_pkey primary key (id),
    -- A task is acknowledged once, so each of its names is published once.
    constraint artifact_task_name_key unique (task_id, name),
    constraint artifact_name_length check (char_length(name) between 1 and 200),
    constraint artifact_media_type_form check (media_type ~ '^[a-z0-9.+-]+/[a-zA-Z0-9.+-]+$' and char_length(media_type) <= 200),
    constraint artifact_digest_length check (octet_length(digest) = 32),
    constraint artifact_size_positive check (size_bytes >= 0)
);

create index artifact_run_id_idx on storage.artifact (run_id, task_id, name);

comment on table storage.artifact is
    'What tasks handed on. A row exists only through the acknowledgement that won, and is never changed.';
comment on column storage.artifact.id is 'Given on insertion; never changes.';
comment on column storage.artifact.run_id is 'The run of the task; set on insertion, never changes.';
comment on column storage.artifact.task_id is 'The task that made it; set on insertion, never changes.';
comment on column storage.artifact.attempt_id is 'The attempt whose acknowledgement won; set on insertion, never changes.';
comment on column storage.artifact.name is 'What the task calls it; set on insertion, never changes.';
comment on column storage.artifact.media_type is 'How to read the bytes; set on insertion, never changes.';
comment on column storage.artifact.digest is 'SHA-256 of the bytes, which is also the key of the object; set on insertion, never changes.';
comment on column storage.artifact.size_bytes is 'Length of the object; set on insertion, never changes.';
comment on column storage.artifact.created_at is 'When the acknowledgement''s transaction began; set on insertion, never changes.';

create table storage.dataset (
    name            text        not null,
    manifest_digest bytea       not null,
    manifest_size   bigint      not null,
    height          integer     not null,
    width           integer     not null,
    channels        integer     not null,
    classes         integer     not null,
    rows            bigint      not null,
    created_at      timestamptz not null default now(),
    constraint dataset_pkey primary key (name),
    constraint dataset_name_form check (name ~ '^[a-z][a-z0-9_-]{0,62}$'),
    constraint dataset_digest_length check (octet_length(manifest_digest) = 32),
    constraint dataset_manifest_size_positive check (manifest_size > 0),
    constraint dataset_shape_possible check (
        height between 1 and 4096 and width between 1 and 4096 and channels between 1 and 16
    ),
    constraint dataset_classes_enough check (classes between 2 and 65536),
    constraint dataset_rows_enough check (rows >= 3)
);

comment on table storage.dataset is
    'The names of data sets. A row is inserted after all objects of the set were written, and is never changed.';
comment on column storage.dataset.name is 'The name that operators and pipelines use; set on insertion, never changes.';
comment on column storage.dataset.manifest_digest is 'SHA-256 and key of the manifest''s object; set on insertion, never changes.';
comment on column storage.dataset.manifest_size is 'Length of the manifest''s object in bytes; set on insertion, never changes.';
comment on column storage.dataset.height is 'Pixel rows of each image, as in the manifest; set on insertion, never changes.';
comment on column storage.dataset.width is 'Pixels in a row, as in the manifest; set on insertion, never changes.';
comment on column storage.dataset.channels is 'Bytes for a pixel, as in the manifest; set on insertion, never changes.';
comment on column storage.dataset.classes is 'Number of classes, as in the manifest; set on insertion, never changes.';
comment on column storage.dataset.rows is 'Number of images in all splits, as in the manifest; set on insertion, never changes.';
comment on column storage.dataset.created_at is 'When the import''s transaction began; set on insertion, never changes.';
