-- The token's life beside rewards: vesting, staking and withdrawals.

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

-- A position is open, and ends as closed or exited_early; a lock that is over is matured in between.
create table treasury.staking_position (
    id bigint generated always as identity primary key,
    key text not null,
    owner bytea not null,
    state text not null,
    ruleset integer not null,
    term_days integer,
    rate_ppm integer,
    principal numeric(78, 0) not null,
    opened_day date not null,
    matures_day date generated always as (opened_day + term_days) stored,
    ended_day date,
    rewards numeric(78, 0),
    returned numeric(78, 0),
    penalty numeric(78, 0),
    forfeited numeric(78, 0),
    journal_id bigint,
    opened_at timestamptz not null default now(),
    constraint staking_position_key_unique unique (key),
    constraint staking_position_key_form check (length(key) between 1 and 100),
    constraint staking_position_owner_is_address check (octet_length(owner) = 20),
    constraint staking_position_state_known check (state in ('open', 'matured', 'exited_early', 'closed')),
    constraint staking_position_term_has_rate check ((term_days is null) = (rate_ppm is null)),
    constraint staking_position_term_positive check (term_days > 0 and rate_ppm >= 0),
    constraint staking_position_principal_positive check (principal > 0),
    -- without a lock there is nothing that could mature, or be left early
    constraint staking_position_lock_states check (term_days is not null or state in ('open', 'closed')),
    constraint staking_position_ended_columns check (
        num_nonnulls(ended_day, rewards, returned, penalty, forfeited, journal_id)
            = case when state in ('exited_early', 'closed') then 6 else 0 end
    ),
    constraint staking_position_ends_after_opening check (ended_day >= opened_day),
    constraint staking_position_exit_is_early check (state <> 'exited_early' or ended_day <= matures_day),
    constraint staking_position_lock_binds check (
        state <> 'closed' or term_days is null or ended_day > matures_day
    ),
    constraint staking_position_closing_is_free check (state <> 'closed' or penalty + forfeited = 0),
    constraint staking_position_is_settled check (principal + rewards = returned + penalty + forfeited),
    constraint staking_position_amounts_positive check (
        rewards >= 0 and returned >= 0 and penalty between 0 and principal and forfeited between 0 and rewards
    )
);

create index staking_position_open on treasury.staking_position (opened_day) where state = 'open';
create index staking_position_by_owner on treasury.staking_position (owner);

comment on table treasury.staking_position is 'one row per stake';
comment on column treasury.staking_position.id is 'set when it is opened, never changes';
comment on column treasury.staking_position.key is 'idempotency key that the caller chose; never changes';
comment on column treasury.staking_position.owner is 'whose it is, 20 bytes; never changes';
comment on column treasury.staking_position.state is 'open; matured when the last day of its lock has accrued; exited_early or closed when its owner left';
comment on column treasury.staking_position.ruleset is 'version of the ruleset by which it is left; never changes';
comment on column treasury.staking_position.term_days is 'for how long it is locked, null for a flexible one; never changes';
comment on column treasury.staking_position.rate_ppm is 'its fixed rate in millionths a year, null for a flexible one; never changes';
comment on column treasury.staking_position.principal is 'base units, never changes';
comment on column treasury.staking_position.opened_day is 'the UTC day before the first that it earns for; never changes';
comment on column treasury.staking_position.matures_day is 'derived: the last day of its lock';
comment on column treasury.staking_position.ended_day is 'the UTC day on which its owner left, after the last that it earned for; set when it ends';
comment on column treasury.staking_position.rewards is 'everything that accrued to it; set when it ends';
comment on column treasury.staking_position.returned is 'what its owner got; set when it ends';
comment on column treasury.staking_position.penalty is 'part of the principal that leaving early cost; set when it ends';
comment on column treasury.staking_position.forfeited is 'part of the rewards that leaving early cost; set when it ends';
comment on column treasury.staking_position.journal_id is 'the journal that ended it; set when it ends';
comment on column treasury.staking_position.opened_at is 'when the row was inserted; never changes';

create function treasury.check_staking_step() returns trigger language plpgsql as $$
begin
    if (old.state, new.state) not in (
        ('open', 'matured'), ('open', 'exited_early'), ('open', 'closed'), ('matured', 'closed')
    ) then
        raise exception 'position % cannot move from % to %', old.id, old.state, new.state using
            errcode = 'check_violation', constraint = 'staking_position_moves_forward',
            table = 'staking_position', schema = 'treasury';
    end if;
    if (new.id, new.key, new.owner, new.ruleset, new.term_days, new.rate_ppm, new.principal, new.opened_day, new.opened_at)
        is distinct from
        (old.id, old.key, old.owner, old.ruleset, old.term_days, old.rate_ppm, old.principal, old.opened_day, old.opened_at)
    then
        raise exception 'position %: what was staked does not change', old.id using
            errcode = 'check_violation', constraint = 'staking_position_is_fixed',
            table = 'staking_position', schema = 'treasury';
    end if;
    return new;
end
$$;

create trigger staking_position_step before update on treasury.staking_position
    for each row execute function treasury.check_staking_step();
create trigger staking_position_permanent before delete or truncate on treasury.staking_position
    for each statement execute function treasury.refuse_change();

create table treasury.staking_day (
    day date primary key,
    total_locked numeric(78, 0) not null,
    flexible_rate_ppm integer not null,
    due numeric(78, 0) not null,
    paid numeric(78, 0) not null,
    journal_id bigint,
    accrued_at timestamptz not null default now(),
    constraint staking_day_amounts check (total_locked >= 0 and flexible_rate_ppm >= 0 and paid between 0 and due),
    constraint staking_day_journal_has_amount check ((journal_id is not null) = (paid > 0)),
    constraint staking_day_is_over check (day < (accrued_at at time zone 'utc')::date)
);

comment on table treasury.staking_day is 'one row per UTC day whose rewards have accrued; also the lock of all staking';
comment on column treasury.staking_day.day is 'the day, never changes';
comment on column treasury.staking_day.total_locked is 'principal that was staked throughout the day; never changes';
comment on column treasury.staking_day.flexible_rate_ppm is 'the rate that followed from it, in millionths a year; never changes';
comment on column treasury.staking_day.due is 'what the positions earned; never changes';
comment on column treasury.staking_day.paid is 'the part of it that the budget covered: the sum of its accruals; never changes';
comment on column treasury.staking_day.journal_id is 'the ledger''s journal, null where nothing was paid; never changes';
comment on column treasury.staking_day.accrued_at is 'start of the transaction that accrued it';

create table treasury.staking_accrual (
    position_id bigint not null,
    day date not null,
    amount numeric(78, 0) not null,
    primary key (position_id, day),
    constraint staking_accrual_amount_positive check (amount > 0),
    constraint staking_accrual_position_exists foreign key (position_id) references treasury.staking_position (id),
    -- the day's row has the sum, and follows
    constraint staking_accrual_day_exists foreign key (day) references treasury.staking_day (day)
        deferrable initially deferred
);

comment on table treasury.staking_accrual is 'what one position earned on one day';
comment on column treasury.staking_accrual.position_id is 'the position, never changes';
comment on column treasury.staking_accrual.day is 'the day, never changes';
comment on column treasury.staking_accrual.amount is 'base units, never changes';

create trigger staking_day_immutable before update or delete or truncate on treasury.staking_day
    for each statement execute function treasury.refuse_change();
create trigger staking_accrual_immutable before update or delete or truncate on treasury.staking_accrual
    for each statement execute function treasury.refuse_change();

-- A withdrawal is requested, matures, and is paid; until it has matured it may be cancelled.
create table treasury.withdrawal (
    id bigint generated always as identity primary key,
    key text not null,
    account bytea not null,
    asset text not null,
    destination text not null,
    country text not null,
    state text not null,
    ruleset integer not null,
    gross numeric(78, 0) not null,
    net numeric(78, 0) not null,
    fee numeric(78, 0) not null,
    haircut numeric(78, 0) not null,
    requested_day date not null,
    matures_day date not null,
    ended_day date,
    journal_id bigint,
    requested_at timestamptz not null default now(),
    constraint withdrawal_key_unique unique (key),
    constraint withdrawal_key_form check (length(key) between 1 and 100),
    constraint withdrawal_account_is_address check (octet_length(account) = 20),
    constraint withdrawal_asset_form check (asset ~ '^[A-Za-z][A-Za-z0-9]{0,15}$'),
    constraint withdrawal_destination_known check (destination in ('account', 'chain')),
    constraint withdrawal_country_form check (country ~ '^[A-Z]{2}$'),
    constraint withdrawal_state_known check (state in ('requested', 'matured', 'paid', 'cancelled')),
    constraint withdrawal_is_divided check (gross = net + fee + haircut),
    constraint withdrawal_amounts_positive check (net > 0 and fee >= 0 and haircut >= 0),
    constraint withdrawal_matures_later check (matures_day >= requested_day),
    constraint withdrawal_ended_columns check (
        num_nonnulls(ended_day, journal_id) = case when state in ('paid', 'cancelled') then 2 else 0 end
    ),
    constraint withdrawal_paid_when_due check (state <> 'paid' or ended_day >= matures_day)
);

create index withdrawal_waiting on treasury.withdrawal (state, matures_day) where state in ('requested', 'matured');
create index withdrawal_by_account on treasury.withdrawal (account);

comment on table treasury.withdrawal is 'one row per withdrawal';
comment on column treasury.withdrawal.id is 'set when it is requested, never changes';
comment on column treasury.withdrawal.key is 'idempotency key that the caller chose; never changes';
comment on column treasury.withdrawal.account is 'whose it is, 20 bytes; never changes';
comment on column treasury.withdrawal.asset is 'what is withdrawn; never changes';
comment on column treasury.withdrawal.destination is 'account: into this ledger; chain: claimed from a distributor; never changes';
comment on column treasury.withdrawal.country is 'ISO 3166-1 code that its owner gave; never changes';
comment on column treasury.withdrawal.state is 'requested; matured when its time is over; paid, or cancelled before it matured';
comment on column treasury.withdrawal.ruleset is 'version of the ruleset that divided it; never changes';
comment on column treasury.withdrawal.gross is 'what waits in pool:withdrawals until it ends; never changes';
comment on column treasury.withdrawal.net is 'what is paid; never changes';
comment on column treasury.withdrawal.fee is 'what the treasury keeps; never changes';
comment on column treasury.withdrawal.haircut is 'what an early redemption gives up; never changes';
comment on column treasury.withdrawal.requested_day is 'the UTC day whose rules it follows; never changes';
comment on column treasury.withdrawal.matures_day is 'from when on it is paid; never changes';
comment on column treasury.withdrawal.ended_day is 'the UTC day on which it was paid or cancelled; set then';
comment on column treasury.withdrawal.journal_id is 'the journal that paid or cancelled it; set then';
comment on column treasury.withdrawal.requested_at is 'when the row was inserted; never changes';

create function treasury.check_withdrawal_step() returns trigger language plpgsql as $$
begin
    if (old.state, new.state) not in (('requested', 'matured'), ('requested', 'cancelled'), ('matured', 'paid')) then
        raise exception 'withdrawal % cannot move from % to %', old.id, old.state, new.state using
            errcode = 'check_violation', constraint = 'withdrawal_moves_forward',
            table = 'withdrawal', schema = 'treasury';
    end if;
    if (new.id, new.key, new.account, new.asset, new.destination, new.country, new.ruleset, new.gross, new.net,
            new.fee, new.haircut, new.requested_day, new.matures_day, new.requested_at)
        is distinct from
        (old.id, old.key, old.account, old.asset, old.destination, old.country, old.ruleset, old.gross, old.net,
            old.fee, old.haircut, old.requested_day, old.matures_day, old.requested_at)
    then
        raise exception 'withdrawal %: what was requested does not change', old.id using
            errcode = 'check_violation', constraint = 'withdrawal_is_fixed',
            table = 'withdrawal', schema = 'treasury';
    end if;
    return new;
end
$$;

create trigger withdrawal_step before update on treasury.withdrawal
    for each row execute function treasury.check_withdrawal_step();
create trigger withdrawal_permanent before delete or truncate on treasury.withdrawal
    for each statement execute function treasury.refuse_change();

create table treasury.withdrawal_denial (
    id bigint generated always as identity primary key,
    account bytea not null,
    reason text not null,
    denied_at timestamptz not null default now(),
    lifted_at timestamptz,
    constraint withdrawal_denial_account_is_address check (octet_length(account) = 20),
    constraint withdrawal_denial_reason_form check (length(reason) between 1 and 500),
    constraint withdrawal_denial_lifted_later check (lifted_at >= denied_at)
);

create unique index withdrawal_denial_once on treasury.withdrawal_denial (account) where lifted_at is null;

comment on table treasury.withdrawal_denial is 'accounts whose withdrawals an operator denied, also in the past';
comment on column treasury.withdrawal_denial.id is 'order of the denials, never changes';
comment on column treasury.withdrawal_denial.account is 'the account, 20 bytes; never changes';
comment on column treasury.withdrawal_denial.reason is 'why, for people; never changes';
comment on column treasury.withdrawal_denial.denied_at is 'since when; never changes';
comment on column treasury.withdrawal_denial.lifted_at is 'until when, null while it holds; set when an operator allows the account again';

create trigger withdrawal_denial_permanent before delete or truncate or
    update of id, account, reason, denied_at on treasury.withdrawal_denial
    for each statement execute function treasury.refuse_change();

create table treasury.payout_route (
    token bytea primary key,
    route text not null,
    taken_at timestamptz not null default now(),
    constraint payout_route_token_is_address check (octet_length(token) = 20),
    constraint payout_route_known check (route in ('withdrawals', 'distributor'))
);

comment on table treasury.payout_route is 'by what each token of the claims tree is paid out: one route, for good';
comment on column treasury.payout_route.token is 'address of the token in the claims tree, 20 bytes; never changes';
comment on column treasury.payout_route.route is 'withdrawals: turned into another asset; distributor: its leaves are paid on a chain; never changes';
comment on column treasury.payout_route.taken_at is 'when the first payment by it was prepared';

create trigger payout_route_immutable before update or delete or truncate on treasury.payout_route
    for each statement execute function treasury.refuse_change();
