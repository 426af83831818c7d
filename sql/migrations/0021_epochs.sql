-- Epochs to their end: classes of work with caps, corrections that open receivables, a second computation before money
-- moves, a manifest for whoever checks from outside, holds, and `final`.

-- What an earlier migration refuses to touch gets its new columns now, and its triggers back below.
drop trigger epoch_step on treasury.epoch;
drop trigger sealed_input_immutable on treasury.sealed_input;
drop trigger reward_immutable on treasury.reward;
drop trigger contribution_batch_permanent on treasury.contribution_batch;

alter table treasury.epoch
    add column ruleset_digest bytea,
    add column repaid numeric(78, 0) not null default 0,
    add column checked_digest bytea,
    add column chain_head bytea,
    add column manifest text,
    add column manifest_digest bytea,
    add column finalised_at timestamptz;

-- The only ruleset so far, whose bytes a test pins.
update treasury.epoch
set ruleset_digest = decode('f81ffa7b4a7d040cdad839cca7f974df72781c1c2eeaf26e1b15e609372a9798', 'hex');
update treasury.epoch epoch
set chain_head = journal.chain_digest
from ledger.journal where journal.id = epoch.journal_id;

alter table treasury.epoch
    alter column ruleset_digest set not null,
    drop constraint epoch_state_known,
    drop constraint epoch_computed_columns,
    drop constraint epoch_posted_columns,
    drop constraint epoch_published_columns,
    add constraint epoch_state_known check (state in ('sealed', 'computed', 'posted', 'published', 'final')),
    add constraint epoch_computed_columns check (
        num_nonnulls(result_digest, asset, token, pool, paid, carried, computed_at)
            = case when state = 'sealed' then 0 else 7 end
    ),
    add constraint epoch_posted_columns check (
        num_nonnulls(journal_id, chain_head, posted_at)
            = case when state in ('posted', 'published', 'final') then 3 else 0 end
    ),
    add constraint epoch_published_columns check (
        num_nonnulls(leaf_count, published_at) = case when state in ('published', 'final') then 2 else 0 end
    ),
    add constraint epoch_final_columns check ((finalised_at is not null) = (state = 'final')),
    add constraint epoch_ruleset_digest_length check (octet_length(ruleset_digest) = 32),
    add constraint epoch_chain_head_length check (octet_length(chain_head) = 32),
    add constraint epoch_repaid_from_paid check (repaid between 0 and coalesce(paid, 0)),
    -- Ruleset 1 was computed once; every later one twice, before its journal is posted.
    add constraint epoch_computed_twice check (
        checked_digest = result_digest or checked_digest is null and (ruleset = 1 or state in ('sealed', 'computed'))
    ),
    add constraint epoch_manifest_has_its_digest check (
        manifest_digest = sha256(convert_to(manifest, 'UTF8')) or num_nonnulls(manifest, manifest_digest) = 0
    ),
    add constraint epoch_manifest_when_published check (
        case
            when ruleset = 1 then manifest is null or state in ('published', 'final')
            else (manifest is not null) = (state in ('published', 'final'))
        end
    );

comment on column treasury.epoch.ruleset_digest is 'SHA-256 of the ruleset''s bytes; set at sealing, never changes';
comment on column treasury.epoch.repaid is 'part of what was paid that repaid receivables; set when computed, 0 before';
comment on column treasury.epoch.checked_digest is 'digest that the second computation came to, the result''s own; set when posted, null under ruleset 1';
comment on column treasury.epoch.chain_head is 'chain digest of the ledger''s last journal after posting, which is the epoch''s; set when posted';
comment on column treasury.epoch.manifest is 'everything above in canonical JSON, for whoever checks from outside; set when published, null where an older program published';
comment on column treasury.epoch.manifest_digest is 'SHA-256 of the manifest; set with it';
comment on column treasury.epoch.finalised_at is 'when the time for disputes had passed; set when final';
comment on column treasury.epoch.paid is 'part of the pool that owners earned, before they repay; set when computed';

create table treasury.epoch_class (
    day date not null,
    class text not null,
    pool numeric(78, 0) not null,
    cap numeric(78, 0) not null,
    weight numeric(78, 0) not null,
    capped bigint not null,
    paid numeric(78, 0) not null,
    carried numeric(78, 0) not null,
    primary key (day, class),
    constraint epoch_class_known check (class in ('compute', 'training', 'validation')),
    constraint epoch_class_is_spent check (pool = paid + carried),
    constraint epoch_class_amounts_positive check (least(pool, cap, weight, capped, paid, carried) >= 0),
    constraint epoch_class_epoch_exists foreign key (day) references treasury.epoch (day)
);

comment on table treasury.epoch_class is 'the parts of a day''s pool, one row per class; none under ruleset 1';
comment on column treasury.epoch_class.day is 'the epoch, never changes';
comment on column treasury.epoch_class.class is 'what is paid for, never changes';
comment on column treasury.epoch_class.pool is 'the class''s part of the day''s pool, base units; never changes';
comment on column treasury.epoch_class.cap is 'the most that one owner may receive of it, base units; never changes';
comment on column treasury.epoch_class.weight is 'sum of all owners'' weights; never changes';
comment on column treasury.epoch_class.capped is 'how many owners received the cap; never changes';
comment on column treasury.epoch_class.paid is 'what owners received, base units; never changes';
comment on column treasury.epoch_class.carried is 'what nobody may receive, base units; never changes';

alter table treasury.contribution_batch
    add column class text not null default 'training',
    add constraint contribution_batch_class_known check (class in ('compute', 'training', 'validation'));

comment on column treasury.contribution_batch.class is 'what it is paid for; training for batches from before there were classes; never changes';

alter table treasury.sealed_input
    add column class text not null default 'training',
    add column origin_day date;

update treasury.sealed_input set origin_day = day;

alter table treasury.sealed_input
    alter column origin_day set not null,
    drop constraint sealed_input_pkey,
    add primary key (day, class, generator_id, origin_day),
    add constraint sealed_input_class_known check (class in ('compute', 'training', 'validation')),
    add constraint sealed_input_origin_before check (origin_day <= day);

create index sealed_input_by_owner on treasury.sealed_input (day, owner);

comment on table treasury.sealed_input is 'what an epoch is computed from: points per class, generator and day of origin, and the generator''s owner when the day was sealed';
comment on column treasury.sealed_input.class is 'what is paid for, never changes';
comment on column treasury.sealed_input.origin_day is 'when the points were earned, an earlier day where they came late; the epoch itself under ruleset 1, which did not keep it; never changes';

alter table treasury.reward
    add column compute_points bigint not null default 0,
    add column compute_amount numeric(78, 0) not null default 0,
    add column training_amount numeric(78, 0) not null default 0,
    add column validation_points bigint not null default 0,
    add column validation_amount numeric(78, 0) not null default 0,
    add column repaid numeric(78, 0) not null default 0,
    drop constraint reward_needs_points,
    drop constraint reward_amount_positive;

update treasury.reward set training_amount = amount;

alter table treasury.reward
    add constraint reward_amounts_positive check (
        least(compute_amount, training_amount, validation_amount, repaid, amount) >= 0
    ),
    add constraint reward_is_spent check (
        compute_amount + training_amount + validation_amount = repaid + amount
    ),
    add constraint reward_needs_points check (
        (compute_points > 0 or compute_amount = 0)
            and (points > 0 or training_amount = 0)
            and (validation_points > 0 or validation_amount = 0)
    );

comment on column treasury.reward.points is 'signed sum of the training points of the owner''s generators; never changes';
comment on column treasury.reward.amount is 'base units that the owner receives: earned and not repaid; never changes';
comment on column treasury.reward.compute_points is 'signed sum of the compute units of the owner''s generators; never changes';
comment on column treasury.reward.compute_amount is 'base units earned by compute; never changes';
comment on column treasury.reward.training_amount is 'base units earned by training; never changes';
comment on column treasury.reward.validation_points is 'signed sum of the votes of the owner''s generators; never changes';
comment on column treasury.reward.validation_amount is 'base units earned by validation; never changes';
comment on column treasury.reward.repaid is 'base units of what was earned that repay receivables; never changes';

create table treasury.receivable (
    correction text primary key,
    owner bytea not null,
    origin_day date not null,
    asset text not null,
    amount numeric(78, 0) not null,
    reason text not null,
    actor text not null,
    journal_id bigint not null,
    recorded_at timestamptz not null default now(),
    constraint receivable_correction_form check (correction ~ '^[a-z0-9][a-z0-9._/-]{0,99}$'),
    constraint receivable_owner_is_address check (octet_length(owner) = 20),
    constraint receivable_amount_positive check (amount > 0),
    constraint receivable_reason_length check (length(reason) between 1 and 500),
    constraint receivable_origin_exists foreign key (origin_day) references treasury.epoch (day)
);

create index receivable_by_owner on treasury.receivable (owner, origin_day);

comment on table treasury.receivable is 'over-payments that were found: what owners repay out of later earnings; rows never change';
comment on column treasury.receivable.correction is 'key of the correction that found it: the idempotency key; never changes';
comment on column treasury.receivable.owner is 'who was paid too much, 20 bytes; never changes';
comment on column treasury.receivable.origin_day is 'the epoch that paid too much, never changes';
comment on column treasury.receivable.asset is 'what was paid, never changes';
comment on column treasury.receivable.amount is 'base units paid too much; never changes';
comment on column treasury.receivable.reason is 'why it was too much, for people; never changes';
comment on column treasury.receivable.actor is 'who recorded it, never changes';
comment on column treasury.receivable.journal_id is 'the ledger''s journal that opened it, never changes';
comment on column treasury.receivable.recorded_at is 'when the row was inserted; never changes';

create table treasury.sealed_receivable (
    day date not null,
    correction text not null,
    owner bytea not null,
    origin_day date not null,
    outstanding numeric(78, 0) not null,
    primary key (day, correction),
    constraint sealed_receivable_owner_is_address check (octet_length(owner) = 20),
    constraint sealed_receivable_is_open check (outstanding > 0),
    constraint sealed_receivable_origin_before check (origin_day < day),
    constraint sealed_receivable_epoch_exists foreign key (day) references treasury.epoch (day),
    constraint sealed_receivable_exists foreign key (correction) references treasury.receivable (correction)
);

comment on table treasury.sealed_receivable is 'receivables that were open when a day was sealed: an input of its result';
comment on column treasury.sealed_receivable.day is 'the epoch, never changes';
comment on column treasury.sealed_receivable.correction is 'the receivable, never changes';
comment on column treasury.sealed_receivable.owner is 'who owes it, 20 bytes; never changes';
comment on column treasury.sealed_receivable.origin_day is 'the epoch that paid too much, never changes';
comment on column treasury.sealed_receivable.outstanding is 'base units not repaid by earlier epochs; never changes';

create table treasury.repayment (
    day date not null,
    correction text not null,
    amount numeric(78, 0) not null,
    primary key (day, correction),
    constraint repayment_amount_positive check (amount > 0),
    constraint repayment_is_of_sealed foreign key (day, correction)
        references treasury.sealed_receivable (day, correction)
);

create index repayment_by_correction on treasury.repayment (correction);

comment on table treasury.repayment is 'the part of an epoch''s earnings that repaid a receivable; rows never change';
comment on column treasury.repayment.day is 'the epoch whose earnings repaid, never changes';
comment on column treasury.repayment.correction is 'the receivable, never changes';
comment on column treasury.repayment.amount is 'base units repaid; never changes';

create table treasury.brake (
    id bigint primary key generated always as identity,
    day date not null,
    reason text not null,
    actor text not null,
    held_at timestamptz not null default now(),
    released_at timestamptz,
    released_by text,
    release_reason text,
    constraint brake_reason_length check (length(reason) between 1 and 500),
    constraint brake_released_whole check (num_nonnulls(released_at, released_by, release_reason) in (0, 3))
);

create unique index brake_once on treasury.brake (day) where released_at is null;

comment on table treasury.brake is 'while a day is held, neither it nor a later one is published or becomes final';
comment on column treasury.brake.id is 'set when held, never changes';
comment on column treasury.brake.day is 'the epoch, sealed or not; never changes';
comment on column treasury.brake.reason is 'why, for people; never changes';
comment on column treasury.brake.actor is 'who held it, never changes';
comment on column treasury.brake.held_at is 'when it was held; never changes';
comment on column treasury.brake.released_at is 'when it was released, null while it holds';
comment on column treasury.brake.released_by is 'who released it; set with released_at';
comment on column treasury.brake.release_reason is 'why it was released; set with released_at';

create or replace function treasury.check_epoch_step() returns trigger language plpgsql as $$
declare
    states constant text[] := array['sealed', 'computed', 'posted', 'published', 'final'];
    taken constant integer := array_position(states, old.state);
begin
    if array_position(states, new.state) is distinct from taken + 1 then
        raise exception 'epoch % cannot move from % to %', old.day, old.state, new.state using
            errcode = 'check_violation', constraint = 'epoch_moves_one_step', table = 'epoch', schema = 'treasury';
    end if;
    if (new.day, new.ruleset, new.ruleset_digest, new.inputs_digest, new.sealed_at)
            is distinct from (old.day, old.ruleset, old.ruleset_digest, old.inputs_digest, old.sealed_at)
        or taken >= 2
            and (new.result_digest, new.asset, new.token, new.pool, new.paid, new.repaid, new.carried,
                    new.computed_at)
                is distinct from (old.result_digest, old.asset, old.token, old.pool, old.paid, old.repaid,
                    old.carried, old.computed_at)
        or taken >= 3
            and (new.journal_id, new.chain_head, new.checked_digest, new.posted_at)
                is distinct from (old.journal_id, old.chain_head, old.checked_digest, old.posted_at)
        or taken >= 4
            and (new.leaf_count, new.root, new.manifest, new.manifest_digest, new.published_at)
                is distinct from (old.leaf_count, old.root, old.manifest, old.manifest_digest, old.published_at)
    then
        raise exception 'epoch %: what an earlier step has set does not change', old.day using
            errcode = 'check_violation', constraint = 'epoch_steps_are_final', table = 'epoch', schema = 'treasury';
    end if;
    if new.state in ('published', 'final')
        and exists (select from treasury.brake where day <= new.day and released_at is null)
    then
        raise exception 'epoch % is held', old.day using
            errcode = 'check_violation', constraint = 'epoch_not_held', table = 'epoch', schema = 'treasury';
    end if;
    return new;
end
$$;

create function treasury.check_release() returns trigger language plpgsql as $$
begin
    if old.released_at is not null
        or (new.id, new.day, new.reason, new.actor, new.held_at)
            is distinct from (old.id, old.day, old.reason, old.actor, old.held_at)
    then
        raise exception 'a brake of epoch % does not change: it is released once', old.day using
            errcode = 'check_violation', constraint = 'brake_is_released_once', table = 'brake', schema = 'treasury';
    end if;
    return new;
end
$$;

create trigger epoch_step before update on treasury.epoch
    for each row execute function treasury.check_epoch_step();
create trigger brake_release before update on treasury.brake
    for each row execute function treasury.check_release();
create trigger brake_permanent before delete or truncate on treasury.brake
    for each statement execute function treasury.refuse_change();
create trigger contribution_batch_permanent before delete or truncate or
    update of source, origin_day, class, content_digest, recorded_at on treasury.contribution_batch
    for each statement execute function treasury.refuse_change();
create trigger sealed_input_immutable before update or delete or truncate on treasury.sealed_input
    for each statement execute function treasury.refuse_change();
create trigger reward_immutable before update or delete or truncate on treasury.reward
    for each statement execute function treasury.refuse_change();
create trigger epoch_class_immutable before update or delete or truncate on treasury.epoch_class
    for each statement execute function treasury.refuse_change();
create trigger receivable_immutable before update or delete or truncate on treasury.receivable
    for each statement execute function treasury.refuse_change();
create trigger sealed_receivable_immutable before update or delete or truncate on treasury.sealed_receivable
    for each statement execute function treasury.refuse_change();
create trigger repayment_immutable before update or delete or truncate on treasury.repayment
    for each statement execute function treasury.refuse_change();

-- What an owner owes us is a debit: the ledger gets a kind of account for it.
alter table ledger.account
    drop constraint account_kind_known,
    drop constraint account_name_form,
    drop column normal_side,
    add constraint account_kind_known check (kind in ('holder', 'issuance', 'pool', 'receivable', 'treasury')),
    add constraint account_name_form check (
        case when kind in ('holder', 'receivable') then name ~ '^0x[0-9a-f]{40}$'
            else name ~ '^[a-z][a-z0-9_-]{0,62}$' end
    ),
    add column normal_side text not null
        generated always as (case when kind in ('issuance', 'receivable') then 'debit' else 'credit' end) stored;

comment on column ledger.account.normal_side is 'derived from the kind: the side on which its balance may not fall below zero';
