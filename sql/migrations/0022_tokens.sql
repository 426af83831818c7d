-- The token's life beside rewards: vesting.

create table treasury.token_start (
    is_only boolean primary key default true,
    day date not null,
    set_at timestamptz not null default now(),
    constraint token_start_is_only_row check (is_only)
);

comment on table treasury.token_start is 'at most one row: the day of the token''s generation';
comment on column treasury.token_start.is_only is 'always true: there is one row';
comment on column treasury.token_start.day is 'the UTC day from which vesting and the withdrawal rules count; set once, never changes';
comment on column treasury.token_start.set_at is 'when an operator set it';

create table treasury.vesting_release (
    pool text not null,
    number integer not null,
    ruleset integer not null,
    due_day date not null,
    amount numeric(78, 0) not null,
    journal_id bigint not null,
    posted_at timestamptz not null default now(),
    primary key (pool, number),
    constraint vesting_release_pool_form check (pool ~ '^[a-z][a-z0-9_-]{0,62}$'),
    constraint vesting_release_number_counts check (number >= 0),
    constraint vesting_release_amount_positive check (amount > 0),
    constraint vesting_release_journal_once unique (journal_id),
    constraint vesting_release_was_due check (due_day <= (posted_at at time zone 'utc')::date)
);

comment on table treasury.vesting_release is 'one row per part of a pool that is in the ledger';
comment on column treasury.vesting_release.pool is 'the row of the vesting table, never changes';
comment on column treasury.vesting_release.number is '0 for what was unlocked at the start, then the month; never changes';
comment on column treasury.vesting_release.ruleset is 'version of the ruleset whose table it follows, never changes';
comment on column treasury.vesting_release.due_day is 'from when on it was due, never changes';
comment on column treasury.vesting_release.amount is 'base units, never changes';
comment on column treasury.vesting_release.journal_id is 'the ledger''s journal, never changes';
comment on column treasury.vesting_release.posted_at is 'start of the transaction that posted it';

create trigger token_start_immutable before update or delete or truncate on treasury.token_start
    for each statement execute function treasury.refuse_change();
create trigger vesting_release_immutable before update or delete or truncate on treasury.vesting_release
    for each statement execute function treasury.refuse_change();
