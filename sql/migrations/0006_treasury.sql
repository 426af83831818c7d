-- Contributions, settlement epochs and rewards.
--
-- An epoch is a UTC day. A day without a row is open; a row moves sealed → computed → posted → published, one step
-- at a time and never back.

create schema treasury;

comment on schema treasury is 'contributions, settlement epochs and rewards';

create table treasury.epoch (
    day date primary key,
    state text not null,
    ruleset integer not null,
    inputs_digest bytea not null,
    result_digest bytea,
    asset text,
    token bytea,
    pool numeric(78, 0),
    paid numeric(78, 0),
    carried numeric(78, 0),
    journal_id bigint,
    leaf_count bigint,
    root bytea,
    sealed_at timestamptz not null default now(),
    computed_at timestamptz,
    posted_at timestamptz,
    published_at timestamptz,
    constraint epoch_state_known check (state in ('sealed', 'computed', 'posted', 'published')),
    constraint epoch_computed_columns check (
        num_nonnulls(result_digest, asset, token, pool, paid, carried, computed_at)
            = case when state in ('computed', 'posted', 'published') then 7 else 0 end
    ),
    constraint epoch_posted_columns check (
        num_nonnulls(journal_id, posted_at) = case when state in ('posted', 'published') then 2 else 0 end
    ),
    constraint epoch_published_columns check (
        num_nonnulls(leaf_count, published_at) = case when state = 'published' then 2 else 0 end
    ),
    constraint epoch_root_covers_leaves check ((root is not null) = coalesce(leaf_count > 0, false)),
    constraint epoch_pool_is_spent check (pool = paid + carried),
    constraint epoch_amounts_positive check (paid >= 0 and carried >= 0),
    constraint epoch_byte_lengths check (
        octet_length(inputs_digest) = 32 and octet_length(result_digest) = 32
        and octet_length(token) = 20 and octet_length(root) = 32
    )
);

comment on table treasury.epoch is 'one row per settled UTC day, inserted when the day is sealed';
comment on column treasury.epoch.day is 'set at sealing, never changes';
comment on column treasury.epoch.state is 'changes with every transition, one step forward';
comment on column treasury.epoch.ruleset is 'version of the ruleset that computes it; set at sealing, never changes';
comment on column treasury.epoch.inputs_digest is 'SHA-256 of the canonical sealed inputs; set at sealing, never changes';
comment on column treasury.epoch.result_digest is 'SHA-256 of the canonical result; set when computed';
comment on column treasury.epoch.asset is 'what the ledger calls the rewards; set when computed';
comment on column treasury.epoch.token is 'address of the token in the claims tree, 20 bytes; set when computed';
comment on column treasury.epoch.pool is 'base units that the day emits; set when computed';
comment on column treasury.epoch.paid is 'part of the pool that owners earned; set when computed';
comment on column treasury.epoch.carried is 'part of the pool that nobody earned; set when computed';
comment on column treasury.epoch.journal_id is 'the ledger''s journal; set when posted';
comment on column treasury.epoch.leaf_count is 'accounts in the claims tree; set when published';
comment on column treasury.epoch.root is 'root of the cumulative claims tree, null where nobody ever earned anything; set when published';
comment on column treasury.epoch.sealed_at is 'when it was sealed';
comment on column treasury.epoch.computed_at is 'when the result was recorded';
comment on column treasury.epoch.posted_at is 'when the journal was posted';
comment on column treasury.epoch.published_at is 'when the root was stored';

create function treasury.check_epoch_step() returns trigger language plpgsql as $$
declare
    states constant text[] := array['sealed', 'computed', 'posted', 'published'];
begin
    if array_position(states, new.state) is distinct from array_position(states, old.state) + 1 then
        raise exception 'epoch % cannot move from % to %', old.day, old.state, new.state using
            errcode = 'check_violation', constraint = 'epoch_moves_one_step', table = 'epoch', schema = 'treasury';
    end if;
    if (new.day, new.ruleset, new.inputs_digest, new.sealed_at)
            is distinct from (old.day, old.ruleset, old.inputs_digest, old.sealed_at)
        or old.state <> 'sealed'
            and (new.result_digest, new.asset, new.token, new.pool, new.paid, new.carried)
                is distinct from (old.result_digest, old.asset, old.token, old.pool, old.paid, old.carried)
        or old.state = 'posted' and new.journal_id is distinct from old.journal_id
    then
        raise exception 'epoch %: what an earlier step has set does not change', old.day using
            errcode = 'check_violation', constraint = 'epoch_steps_are_final', table = 'epoch', schema = 'treasury';
    end if;
    return new;
end
$$;

create trigger epoch_step before update on treasury.epoch
    for each row execute function treasury.check_epoch_step();

create table treasury.contribution_batch (
    source text primary key,
    origin_day date not null,
    content_digest bytea not null,
    settled_day date,
    recorded_at timestamptz not null default now(),
    constraint contribution_batch_source_form check (length(source) between 1 and 200),
    constraint contribution_batch_digest_length check (octet_length(content_digest) = 32),
    constraint contribution_batch_settled_later check (settled_day >= origin_day),
    constraint contribution_batch_epoch_exists foreign key (settled_day) references treasury.epoch (day)
);

create index contribution_batch_unsettled on treasury.contribution_batch (origin_day) where settled_day is null;
create index contribution_batch_by_epoch on treasury.contribution_batch (settled_day);

comment on table treasury.contribution_batch is 'one row per round, or other source, that earned points';
comment on column treasury.contribution_batch.source is 'what earned the points, unique: the idempotency key; never changes';
comment on column treasury.contribution_batch.origin_day is 'the UTC day on which they were earned; never changes';
comment on column treasury.contribution_batch.content_digest is 'SHA-256 of day and points in canonical order; never changes';
comment on column treasury.contribution_batch.settled_day is 'the epoch that counts it, null until one is sealed; later than origin_day where it came late';
comment on column treasury.contribution_batch.recorded_at is 'when the row was inserted; never changes';

create table treasury.contribution (
    source text not null,
    generator_id uuid not null,
    points bigint not null,
    primary key (source, generator_id),
    constraint contribution_batch_exists foreign key (source) references treasury.contribution_batch (source)
);

comment on table treasury.contribution is 'signed points of one generator from one source';
comment on column treasury.contribution.source is 'the batch, never changes';
comment on column treasury.contribution.generator_id is 'who earned them, never changes';
comment on column treasury.contribution.points is 'fixed point, negative for harm; never changes';

create table treasury.sealed_input (
    day date not null,
    generator_id uuid not null,
    owner bytea not null,
    points bigint not null,
    primary key (day, generator_id),
    constraint sealed_input_owner_is_address check (octet_length(owner) = 20),
    constraint sealed_input_epoch_exists foreign key (day) references treasury.epoch (day)
);

comment on table treasury.sealed_input is 'what an epoch is computed from: points per generator, and its owner when the day was sealed';
comment on column treasury.sealed_input.day is 'the epoch, never changes';
comment on column treasury.sealed_input.generator_id is 'who earned the points, never changes';
comment on column treasury.sealed_input.owner is 'to whom they accrue, 20 bytes; never changes';
comment on column treasury.sealed_input.points is 'sum over the sources of the epoch; never changes';

create table treasury.reward (
    day date not null,
    owner bytea not null,
    points bigint not null,
    amount numeric(78, 0) not null,
    primary key (day, owner),
    constraint reward_owner_is_address check (octet_length(owner) = 20),
    constraint reward_amount_positive check (amount >= 0),
    constraint reward_needs_points check (points > 0 or amount = 0),
    constraint reward_epoch_exists foreign key (day) references treasury.epoch (day)
);

comment on table treasury.reward is 'the result of an epoch: what each owner earned that day';
comment on column treasury.reward.day is 'the epoch, never changes';
comment on column treasury.reward.owner is 'whose it is, 20 bytes; never changes';
comment on column treasury.reward.points is 'signed sum over the generators of the owner; never changes';
comment on column treasury.reward.amount is 'base units, 0 where the points are not above zero; never changes';

create function treasury.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% on treasury.% is refused: a correction is an entry of a later epoch',
        lower(tg_op), tg_table_name using
        errcode = 'check_violation', constraint = 'treasury_immutable', table = tg_table_name, schema = 'treasury';
end
$$;

create trigger epoch_permanent before delete or truncate on treasury.epoch
    for each statement execute function treasury.refuse_change();
create trigger contribution_batch_permanent before delete or truncate or
    update of source, origin_day, content_digest, recorded_at on treasury.contribution_batch
    for each statement execute function treasury.refuse_change();
create trigger contribution_immutable before update or delete or truncate on treasury.contribution
    for each statement execute function treasury.refuse_change();
create trigger sealed_input_immutable before update or delete or truncate on treasury.sealed_input
    for each statement execute function treasury.refuse_change();
create trigger reward_immutable before update or delete or truncate on treasury.reward
    for each statement execute function treasury.refuse_change();
