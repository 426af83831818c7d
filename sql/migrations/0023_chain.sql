-- What is sent to a distributor on a chain, and what is read back from it.

create schema chain;

comment on schema chain is 'publications of roots, their transactions, and claims read back from the chain';

-- The leaves of a claims tree name neither chain nor contract: a tree that two distributors pay is paid twice.
create table chain.distributor (
    is_only boolean primary key default true,
    chain_id bigint not null,
    contract bytea not null,
    first_block bigint not null,
    registered_at timestamptz not null default now(),
    constraint distributor_is_only_row check (is_only),
    constraint distributor_once unique (chain_id, contract),
    constraint distributor_chain_positive check (chain_id > 0),
    constraint distributor_contract_is_address check (octet_length(contract) = 20),
    constraint distributor_first_block_counts check (first_block >= 0)
);

comment on table chain.distributor is 'at most one row: the contract that pays this installation''s claims';
comment on column chain.distributor.is_only is 'always true: there is one row';
comment on column chain.distributor.chain_id is 'the chain, never changes';
comment on column chain.distributor.contract is 'the contract''s address, 20 bytes; never changes';
comment on column chain.distributor.first_block is 'from which block on its events are read, never changes';
comment on column chain.distributor.registered_at is 'when the first root was to be published';

create table chain.publication (
    chain_id bigint not null,
    contract bytea not null,
    day date not null,
    root bytea not null,
    end_time bigint not null,
    token bytea not null,
    total numeric(78, 0) not null,
    recorded_at timestamptz not null default now(),
    primary key (chain_id, contract, day),
    constraint publication_root_once unique (chain_id, contract, root),
    constraint publication_distributor_exists
        foreign key (chain_id, contract) references chain.distributor (chain_id, contract),
    constraint publication_byte_lengths check (octet_length(root) = 32 and octet_length(token) = 20),
    constraint publication_total_positive check (total > 0),
    constraint publication_ends_with_its_day
        check (end_time = extract(epoch from (day + 1)::timestamp at time zone 'utc')::bigint)
);

comment on table chain.publication is 'one row per epoch whose root is to be on the chain, inserted before anything is sent';
comment on column chain.publication.chain_id is 'the chain, never changes';
comment on column chain.publication.contract is 'the distributor, never changes';
comment on column chain.publication.day is 'the epoch, never changes';
comment on column chain.publication.root is 'root of its claims tree, never changes';
comment on column chain.publication.end_time is 'the end of the day in Unix seconds, as the contract gets it; never changes';
comment on column chain.publication.token is 'the token of every leaf, never changes';
comment on column chain.publication.total is 'sum of the leaves in base units, as the contract gets it; never changes';
comment on column chain.publication.recorded_at is 'when it was recorded';

-- recorded → sent → mined → final; back to sent where a re-organisation took the block; or it ends as reverted or
-- replaced, and another submission may follow.
create table chain.submission (
    id bigint generated always as identity primary key,
    chain_id bigint not null,
    contract bytea not null,
    day date not null,
    action text not null,
    sender bytea not null,
    nonce bigint not null,
    state text not null default 'recorded',
    transaction_hash bytea,
    block_number bigint,
    block_hash bytea,
    reorganised integer not null default 0,
    recorded_at timestamptz not null default now(),
    sent_at timestamptz,
    mined_at timestamptz,
    final_at timestamptz,
    constraint submission_publication_exists
        foreign key (chain_id, contract, day) references chain.publication (chain_id, contract, day),
    constraint submission_action_known check (action in ('propose', 'confirm')),
    constraint submission_state_known check (
        state in ('recorded', 'sent', 'mined', 'final', 'reverted', 'replaced')
    ),
    constraint submission_block_when_mined check (
        num_nonnulls(transaction_hash, block_number, block_hash)
            = case when state in ('mined', 'final', 'reverted') then 3 else 0 end
    ),
    constraint submission_byte_lengths check (
        octet_length(sender) = 20 and octet_length(transaction_hash) = 32 and octet_length(block_hash) = 32
    ),
    constraint submission_numbers_count check (nonce >= 0 and block_number >= 0 and reorganised >= 0)
);

create unique index submission_one_alive on chain.submission (chain_id, contract, day, action)
    where state not in ('reverted', 'replaced');
create unique index submission_nonce_once on chain.submission (chain_id, sender, nonce) where state <> 'replaced';

comment on table chain.submission is 'a transaction that proposes or confirms a root, whichever of its attempts is mined';
comment on column chain.submission.id is 'never changes';
comment on column chain.submission.chain_id is 'the chain, never changes';
comment on column chain.submission.contract is 'the distributor, never changes';
comment on column chain.submission.day is 'the epoch, never changes';
comment on column chain.submission.action is 'propose or confirm, never changes';
comment on column chain.submission.sender is 'address of the key that signs, 20 bytes; never changes';
comment on column chain.submission.nonce is 'the sender''s nonce, one for all attempts: at most one of them is ever mined; never changes';
comment on column chain.submission.state is 'changes with what the chain answers';
comment on column chain.submission.transaction_hash is 'the attempt that was mined; cleared where a re-organisation took its block';
comment on column chain.submission.block_number is 'the block that has it; cleared likewise';
comment on column chain.submission.block_hash is 'that block''s hash; cleared likewise';
comment on column chain.submission.reorganised is 'how often a re-organisation took its block';
comment on column chain.submission.recorded_at is 'when nonce and first attempt were recorded, before anything was sent';
comment on column chain.submission.sent_at is 'when a node took it first';
comment on column chain.submission.mined_at is 'when its receipt was last read for the first time';
comment on column chain.submission.final_at is 'when its block was deep enough';

create function chain.check_submission_step() returns trigger language plpgsql as $$
declare
    steps constant text[] := array[
        'recorded>sent', 'recorded>mined', 'recorded>reverted', 'recorded>replaced', 'sent>mined', 'sent>reverted',
        'sent>replaced', 'mined>final', 'mined>sent', 'final>sent', 'reverted>sent'
    ];
begin
    if new.state <> old.state and not old.state || '>' || new.state = any (steps) then
        raise exception 'submission % cannot move from % to %', old.id, old.state, new.state using
            errcode = 'check_violation', constraint = 'submission_steps_known', table = 'submission', schema = 'chain';
    end if;
    if (new.id, new.chain_id, new.contract, new.day, new.action, new.sender, new.nonce, new.recorded_at)
            is distinct from
            (old.id, old.chain_id, old.contract, old.day, old.action, old.sender, old.nonce, old.recorded_at)
    then
        raise exception 'submission %: what it sends does not change', old.id using
            errcode = 'check_violation', constraint = 'submission_content_final', table = 'submission', schema = 'chain';
    end if;
    return new;
end
$$;

create trigger submission_step before update on chain.submission
    for each row execute function chain.check_submission_step();

create table chain.attempt (
    transaction_hash bytea primary key,
    submission_id bigint not null references chain.submission (id),
    max_fee numeric(39, 0) not null,
    priority_fee numeric(39, 0) not null,
    signed bytea not null,
    recorded_at timestamptz not null default now(),
    constraint attempt_hash_length check (octet_length(transaction_hash) = 32),
    constraint attempt_fees_ordered check (priority_fee between 0 and max_fee)
);

create index attempt_by_submission on chain.attempt (submission_id);

comment on table chain.attempt is 'a signed transaction, kept before it is sent: one more for each time that the fees are raised';
comment on column chain.attempt.transaction_hash is 'Keccak-256 of the signed bytes, never changes';
comment on column chain.attempt.submission_id is 'whose attempt it is, never changes';
comment on column chain.attempt.max_fee is 'most wei per gas that it pays, never changes';
comment on column chain.attempt.priority_fee is 'wei per gas for whoever mines it, never changes';
comment on column chain.attempt.signed is 'what is sent, again and again to the byte; no secret; never changes';
comment on column chain.attempt.recorded_at is 'when it was signed';

create table chain.claim (
    chain_id bigint not null,
    block_hash bytea not null,
    transaction_hash bytea not null,
    log_index bigint not null,
    contract bytea not null,
    block_number bigint not null,
    account bytea not null,
    token bytea not null,
    amount numeric(78, 0) not null,
    cumulative numeric(78, 0) not null,
    is_orphaned boolean not null default false,
    times_orphaned integer not null default 0,
    journal_id bigint,
    seen_at timestamptz not null default now(),
    primary key (chain_id, block_hash, transaction_hash, log_index),
    constraint claim_distributor_exists
        foreign key (chain_id, contract) references chain.distributor (chain_id, contract),
    constraint claim_byte_lengths check (
        octet_length(block_hash) = 32 and octet_length(transaction_hash) = 32
        and octet_length(account) = 20 and octet_length(token) = 20
    ),
    constraint claim_amounts_positive check (amount > 0 and amount <= cumulative),
    constraint claim_numbers_count check (log_index >= 0 and block_number >= 0 and times_orphaned >= 0),
    constraint claim_orphan_has_no_journal check (not (is_orphaned and journal_id is not null))
);

create index claim_by_block on chain.claim (chain_id, contract, block_number);

comment on table chain.claim is 'one row per Claimed event, by the block that has it: the same claim in another block is another row';
comment on column chain.claim.chain_id is 'the chain, never changes';
comment on column chain.claim.block_hash is 'hash of the block, never changes';
comment on column chain.claim.transaction_hash is 'the claim''s transaction, never changes';
comment on column chain.claim.log_index is 'place of the event in the block, never changes';
comment on column chain.claim.contract is 'the distributor, never changes';
comment on column chain.claim.block_number is 'number of the block, never changes';
comment on column chain.claim.account is 'who was paid, never changes';
comment on column chain.claim.token is 'in which token, never changes';
comment on column chain.claim.amount is 'base units that were paid, never changes';
comment on column chain.claim.cumulative is 'everything that the account was paid up to here, never changes';
comment on column chain.claim.is_orphaned is 'whether the block is no longer of the chain; changes with re-organisations';
comment on column chain.claim.times_orphaned is 'how often it became so';
comment on column chain.claim.journal_id is 'the ledger''s journal once the block was final; null again when it was compensated';
comment on column chain.claim.seen_at is 'when it was first read';

create table chain.checkpoint (
    chain_id bigint not null,
    contract bytea not null,
    block_number bigint not null,
    block_hash bytea not null,
    recorded_at timestamptz not null default now(),
    primary key (chain_id, contract, block_number),
    constraint checkpoint_distributor_exists
        foreign key (chain_id, contract) references chain.distributor (chain_id, contract),
    constraint checkpoint_hash_length check (octet_length(block_hash) = 32)
);

comment on table chain.checkpoint is 'final blocks up to which events were read; one that leaves the chain is deleted by whoever notices';
comment on column chain.checkpoint.chain_id is 'the chain, never changes';
comment on column chain.checkpoint.contract is 'the distributor, never changes';
comment on column chain.checkpoint.block_number is 'the block, never changes';
comment on column chain.checkpoint.block_hash is 'its hash, never changes: what tells whether it is still of the chain';
comment on column chain.checkpoint.recorded_at is 'when it was read up to';

create table chain.alert (
    id bigint generated always as identity primary key,
    chain_id bigint not null,
    contract bytea not null,
    block_number bigint not null,
    expected_hash bytea not null,
    found_hash bytea,
    what text not null,
    raised_at timestamptz not null default now(),
    constraint alert_distributor_exists
        foreign key (chain_id, contract) references chain.distributor (chain_id, contract)
);

comment on table chain.alert is 'one row per re-organisation that reached a block that had been final; never changes';
comment on column chain.alert.id is 'never changes';
comment on column chain.alert.chain_id is 'the chain';
comment on column chain.alert.contract is 'the distributor';
comment on column chain.alert.block_number is 'the block that was final';
comment on column chain.alert.expected_hash is 'the hash that it had';
comment on column chain.alert.found_hash is 'the hash that it has now, null where there is no such block';
comment on column chain.alert.what is 'what was put back or compensated, for people';
comment on column chain.alert.raised_at is 'when it was noticed';

create function chain.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% on chain.% is refused: what was sent or read stays', lower(tg_op), tg_table_name using
        errcode = 'check_violation', constraint = 'chain_immutable', table = tg_table_name, schema = 'chain';
end
$$;

create trigger distributor_immutable before update or delete or truncate on chain.distributor
    for each statement execute function chain.refuse_change();
create trigger publication_immutable before update or delete or truncate on chain.publication
    for each statement execute function chain.refuse_change();
create trigger submission_permanent before delete or truncate on chain.submission
    for each statement execute function chain.refuse_change();
create trigger attempt_immutable before update or delete or truncate on chain.attempt
    for each statement execute function chain.refuse_change();
create trigger claim_permanent before delete or truncate or update of chain_id, block_hash, transaction_hash, log_index,
    contract, block_number, account, token, amount, cumulative, seen_at on chain.claim
    for each statement execute function chain.refuse_change();
create trigger alert_immutable before update or delete or truncate on chain.alert
    for each statement execute function chain.refuse_change();
