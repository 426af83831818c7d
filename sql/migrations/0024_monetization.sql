-- Holdings of works, revenue, dividends, and the sale of licences.
--
-- An epoch of dividends is a UTC day. It has no states: one transaction seals its inputs, divides them and posts the
-- journals, so that a row is a day that is done.

create schema monetization;

comment on schema monetization is 'holdings of works, revenue, dividends, the sale of licences';

create table monetization.holding (
    work text not null,
    holder bytea not null,
    valid_from timestamptz not null,
    units numeric(39, 0) not null,
    recorded_at timestamptz not null default now(),
    primary key (work, holder, valid_from),
    constraint holding_work_form check (work ~ '^[A-Za-z0-9._:-]{1,100}$'),
    constraint holding_holder_is_address check (octet_length(holder) = 20),
    constraint holding_units_fit check (units between 0 and 340282366920938463463374607431768211455)
);

comment on table monetization.holding is 'one row for each change of what somebody holds of a work; rows never change';
comment on column monetization.holding.work is 'the work, never changes';
comment on column monetization.holding.holder is 'who holds it, 20 bytes; never changes';
comment on column monetization.holding.valid_from is 'from when on, until the next row of the same work and holder; never changes';
comment on column monetization.holding.units is 'how many units from then on, 0 for none any more; never changes';
comment on column monetization.holding.recorded_at is 'when the row was inserted; never changes';

create table monetization.dividend_epoch (
    day date primary key,
    ruleset integer not null,
    inputs_digest bytea not null,
    result_digest bytea not null,
    event_count bigint not null,
    posted_at timestamptz not null default now(),
    constraint dividend_epoch_digest_lengths check (octet_length(inputs_digest) = 32 and octet_length(result_digest) = 32),
    constraint dividend_epoch_counts_positive check (event_count >= 0)
);

comment on table monetization.dividend_epoch is 'one row per divided UTC day, inserted with its inputs, result and journals; rows never change';
comment on column monetization.dividend_epoch.day is 'the UTC day, never changes';
comment on column monetization.dividend_epoch.ruleset is 'version of the rules that divided it; never changes';
comment on column monetization.dividend_epoch.inputs_digest is 'SHA-256 of the canonical sealed inputs; never changes';
comment on column monetization.dividend_epoch.result_digest is 'SHA-256 of the canonical result; never changes';
comment on column monetization.dividend_epoch.event_count is 'how many revenue events it counts; never changes';
comment on column monetization.dividend_epoch.posted_at is 'when its journals were posted';

create table monetization.revenue_file (
    day date not null,
    path text not null,
    version text not null,
    digest bytea not null,
    size_bytes bigint not null,
    row_count bigint not null,
    last_day date,
    primary key (day, path),
    constraint revenue_file_epoch_exists foreign key (day) references monetization.dividend_epoch (day),
    constraint revenue_file_digest_length check (octet_length(digest) = 32),
    constraint revenue_file_sizes_positive check (size_bytes >= 0 and row_count >= 0)
);

create index revenue_file_by_path on monetization.revenue_file (path, version);

comment on table monetization.revenue_file is 'the manifest of an epoch: one row per file that it read';
comment on column monetization.revenue_file.day is 'the epoch, never changes';
comment on column monetization.revenue_file.path is 'where the file was in the object store; never changes';
comment on column monetization.revenue_file.version is 'the entity tag that it had there, so that no later epoch reads it again; never changes';
comment on column monetization.revenue_file.digest is 'SHA-256 of its bytes, which are an object of that name; never changes';
comment on column monetization.revenue_file.size_bytes is 'how many bytes it has; never changes';
comment on column monetization.revenue_file.row_count is 'how many rows it has; never changes';
comment on column monetization.revenue_file.last_day is 'the UTC day of its latest event, null where it has none; a later epoch reads the file again where this is after the epoch';

create table monetization.revenue_event (
    event_id text primary key,
    day date not null,
    occurred_at timestamptz not null,
    kind text not null,
    work text not null,
    gross numeric(78, 0) not null,
    asset text not null,
    payer text not null,
    content_digest bytea not null,
    constraint revenue_event_epoch_exists foreign key (day) references monetization.dividend_epoch (day),
    constraint revenue_event_not_after_its_epoch check (occurred_at at time zone 'UTC' < day + 1),
    constraint revenue_event_id_length check (length(event_id) between 1 and 200),
    constraint revenue_event_payer_length check (length(payer) between 1 and 200),
    constraint revenue_event_gross_positive check (gross > 0),
    constraint revenue_event_digest_length check (octet_length(content_digest) = 32)
);

create index revenue_event_by_epoch on monetization.revenue_event (day);

comment on table monetization.revenue_event is 'the sealed events: one row for each event that an epoch counted, so that no other counts it again';
comment on column monetization.revenue_event.event_id is 'what its source calls it: the idempotency key; never changes';
comment on column monetization.revenue_event.day is 'the epoch that counts it: later than occurred_at where it came late; never changes';
comment on column monetization.revenue_event.occurred_at is 'when it was earned; never changes';
comment on column monetization.revenue_event.kind is 'the kind of income, never changes';
comment on column monetization.revenue_event.work is 'the work that earned it, never changes';
comment on column monetization.revenue_event.gross is 'what was paid, in base units; never changes';
comment on column monetization.revenue_event.asset is 'in what, never changes';
comment on column monetization.revenue_event.payer is 'by whom, as the source names them; never changes';
comment on column monetization.revenue_event.content_digest is 'SHA-256 of the canonical event, which tells a repetition from a contradiction; never changes';

create table monetization.record_holding (
    day date not null,
    record_day date not null,
    work text not null,
    holder bytea not null,
    units numeric(39, 0) not null,
    primary key (day, record_day, work, holder),
    constraint record_holding_epoch_exists foreign key (day) references monetization.dividend_epoch (day),
    constraint record_holding_holder_is_address check (octet_length(holder) = 20)
);

comment on table monetization.record_holding is 'the sealed holdings: who held the works of an epoch on their record dates, when it was divided';
comment on column monetization.record_holding.day is 'the epoch, never changes';
comment on column monetization.record_holding.record_day is 'the UTC day at whose end it was held; never changes';
comment on column monetization.record_holding.work is 'the work, never changes';
comment on column monetization.record_holding.holder is 'who held it, 20 bytes; never changes';
comment on column monetization.record_holding.units is 'how many units, never changes';

create table monetization.dividend_line (
    day date not null,
    origin_day date not null,
    kind text not null,
    work text not null,
    asset text not null,
    event_count bigint not null,
    gross numeric(78, 0) not null,
    fee numeric(78, 0) not null,
    network numeric(78, 0) not null,
    distributed numeric(78, 0) not null,
    carried numeric(78, 0) not null,
    primary key (day, origin_day, kind, work, asset),
    constraint dividend_line_epoch_exists foreign key (day) references monetization.dividend_epoch (day),
    constraint dividend_line_origin_not_later check (origin_day <= day),
    constraint dividend_line_adds_up check (gross = fee + network + distributed + carried),
    constraint dividend_line_amounts_positive check (fee >= 0 and network >= 0 and distributed >= 0 and carried >= 0),
    constraint dividend_line_has_one_rest check (distributed = 0 or carried = 0)
);

comment on table monetization.dividend_line is 'the result of an epoch: what a work earned by one kind of income on one day';
comment on column monetization.dividend_line.day is 'the epoch, never changes';
comment on column monetization.dividend_line.origin_day is 'the UTC day on which it was earned: earlier than the epoch for a correction; never changes';
comment on column monetization.dividend_line.kind is 'the kind of income, never changes';
comment on column monetization.dividend_line.work is 'the work, never changes';
comment on column monetization.dividend_line.asset is 'in what, never changes';
comment on column monetization.dividend_line.event_count is 'how many events it sums up; never changes';
comment on column monetization.dividend_line.gross is 'what was paid, never changes';
comment on column monetization.dividend_line.fee is 'what the treasury took, never changes';
comment on column monetization.dividend_line.network is 'the network''s share, never changes';
comment on column monetization.dividend_line.distributed is 'what holders have, never changes';
comment on column monetization.dividend_line.carried is 'what nobody held, never changes';

create table monetization.dividend (
    day date not null,
    origin_day date not null,
    kind text not null,
    work text not null,
    asset text not null,
    holder bytea not null,
    units numeric(39, 0) not null,
    amount numeric(78, 0) not null,
    primary key (day, origin_day, kind, work, asset, holder),
    constraint dividend_line_exists foreign key (day, origin_day, kind, work, asset)
        references monetization.dividend_line (day, origin_day, kind, work, asset),
    constraint dividend_holder_is_address check (octet_length(holder) = 20),
    constraint dividend_needs_units check (amount >= 0 and (units > 0 or amount = 0))
);

create index dividend_by_holder on monetization.dividend (holder, day);

comment on table monetization.dividend is 'the result of an epoch: what each holder has of a line';
comment on column monetization.dividend.day is 'the epoch, never changes';
comment on column monetization.dividend.origin_day is 'of the line, never changes';
comment on column monetization.dividend.kind is 'of the line, never changes';
comment on column monetization.dividend.work is 'of the line, never changes';
comment on column monetization.dividend.asset is 'of the line, never changes';
comment on column monetization.dividend.holder is 'whose it is, 20 bytes; never changes';
comment on column monetization.dividend.units is 'how much of the work they held, never changes';
comment on column monetization.dividend.amount is 'base units, never changes';

create table monetization.dividend_journal (
    day date not null,
    asset text not null,
    journal_id bigint not null,
    primary key (day, asset),
    constraint dividend_journal_once unique (journal_id),
    constraint dividend_journal_epoch_exists foreign key (day) references monetization.dividend_epoch (day)
);

comment on table monetization.dividend_journal is 'the ledger''s journal of each asset of an epoch';
comment on column monetization.dividend_journal.day is 'the epoch, never changes';
comment on column monetization.dividend_journal.asset is 'what it moves, never changes';
comment on column monetization.dividend_journal.journal_id is 'the ledger''s journal, never changes';

create function monetization.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% on monetization.% is refused: what was recorded stays, and what corrects it comes later',
        lower(tg_op), tg_table_name using
        errcode = 'check_violation', constraint = 'monetization_immutable', table = tg_table_name,
        schema = 'monetization';
end
$$;

create trigger holding_immutable before update or delete or truncate on monetization.holding
    for each statement execute function monetization.refuse_change();
create trigger dividend_epoch_immutable before update or delete or truncate on monetization.dividend_epoch
    for each statement execute function monetization.refuse_change();
create trigger revenue_file_immutable before update or delete or truncate on monetization.revenue_file
    for each statement execute function monetization.refuse_change();
create trigger revenue_event_immutable before update or delete or truncate on monetization.revenue_event
    for each statement execute function monetization.refuse_change();
create trigger record_holding_immutable before update or delete or truncate on monetization.record_holding
    for each statement execute function monetization.refuse_change();
create trigger dividend_line_immutable before update or delete or truncate on monetization.dividend_line
    for each statement execute function monetization.refuse_change();
create trigger dividend_immutable before update or delete or truncate on monetization.dividend
    for each statement execute function monetization.refuse_change();
create trigger dividend_journal_immutable before update or delete or truncate on monetization.dividend_journal
    for each statement execute function monetization.refuse_change();

-- The sale of licences. Counters of rounds and buyers are moved by triggers on the purchases and by nothing else, and
-- constraints keep them within supply and limit, so that a wrong program can fail to sell, but cannot sell too much.

create table monetization.special_listing (
    wallet bytea not null,
    tier text not null,
    source text not null,
    recorded_at timestamptz not null default now(),
    primary key (wallet, tier, source),
    constraint special_listing_wallet_is_address check (octet_length(wallet) = 20),
    constraint special_listing_tier_known check (tier in ('sl1', 'sl2')),
    constraint special_listing_source_length check (length(source) between 1 and 200)
);

comment on table monetization.special_listing is 'one row for each place on a special list; rows never change';
comment on column monetization.special_listing.wallet is 'whose place it is, 20 bytes; never changes';
comment on column monetization.special_listing.tier is 'sl1 or sl2, never changes';
comment on column monetization.special_listing.source is 'how it was earned, never changes';
comment on column monetization.special_listing.recorded_at is 'when the row was inserted; never changes';

create table monetization.sale_round (
    round integer primary key,
    ruleset integer not null,
    supply integer not null,
    rolled_in integer not null default 0,
    rolled_out integer not null default 0,
    reserved integer not null default 0,
    sold integer not null default 0,
    price_cents bigint not null,
    least_tier text not null,
    buyer_max integer not null,
    opens_at timestamptz,
    closes_at timestamptz,
    closed_at timestamptz,
    settled_at timestamptz,
    constraint sale_round_supply_positive check (supply > 0 and rolled_in >= 0 and rolled_out >= 0),
    constraint sale_round_price_positive check (price_cents > 0),
    constraint sale_round_tier_known check (least_tier in ('sl1', 'sl2', 'public')),
    constraint sale_round_limit_positive check (buyer_max > 0),
    constraint sale_round_counts_positive check (reserved >= 0 and sold >= 0),
    constraint sale_round_not_oversold check (sold + reserved + rolled_out <= supply + rolled_in),
    constraint sale_round_times check (num_nonnulls(opens_at, closes_at) in (0, 2) and opens_at < closes_at),
    constraint sale_round_closes_after_its_end check (closed_at >= closes_at),
    constraint sale_round_closed_holds_nothing check (closed_at is null or reserved = 0),
    constraint sale_round_rolls_when_closed check (rolled_out = 0 or closed_at is not null),
    constraint sale_round_settled_after_closing check (settled_at is null or closed_at is not null)
);

comment on table monetization.sale_round is 'one row per round of the licence sale, inserted from the rules before the first round is scheduled';
comment on column monetization.sale_round.round is 'its number, never changes';
comment on column monetization.sale_round.ruleset is 'version of the rules that it follows; never changes';
comment on column monetization.sale_round.supply is 'licences that the rules give it; never changes';
comment on column monetization.sale_round.rolled_in is 'unsold licences of the round before; grows when that one is closed';
comment on column monetization.sale_round.rolled_out is 'its own unsold licences that went to the next round; set when it is closed';
comment on column monetization.sale_round.reserved is 'licences of purchases that are not paid yet; moves with these, by trigger alone';
comment on column monetization.sale_round.sold is 'licences of paid purchases; moves with these, by trigger alone';
comment on column monetization.sale_round.price_cents is 'of one licence, never changes';
comment on column monetization.sale_round.least_tier is 'the lowest tier that may buy; never changes';
comment on column monetization.sale_round.buyer_max is 'licences that one buyer may have of it; never changes';
comment on column monetization.sale_round.opens_at is 'from when on it sells; set by an operator before then';
comment on column monetization.sale_round.closes_at is 'until when it sells; set with opens_at';
comment on column monetization.sale_round.closed_at is 'when its unsold licences were passed on';
comment on column monetization.sale_round.settled_at is 'when what it earned became income, after the last refund';

create table monetization.sale_buyer (
    round integer not null,
    buyer bytea not null,
    buyer_max integer not null,
    reserved integer not null default 0,
    sold integer not null default 0,
    primary key (round, buyer),
    constraint sale_buyer_round_exists foreign key (round) references monetization.sale_round (round),
    constraint sale_buyer_is_address check (octet_length(buyer) = 20),
    constraint sale_buyer_counts_positive check (reserved >= 0 and sold >= 0),
    constraint sale_buyer_within_limit check (reserved + sold <= buyer_max)
);

comment on table monetization.sale_buyer is 'what one buyer has of a round; inserted with the first purchase, by trigger alone';
comment on column monetization.sale_buyer.round is 'the round, never changes';
comment on column monetization.sale_buyer.buyer is 'the wallet, 20 bytes; never changes';
comment on column monetization.sale_buyer.buyer_max is 'the round''s limit, never changes';
comment on column monetization.sale_buyer.reserved is 'licences of purchases that are not paid yet; moves with these';
comment on column monetization.sale_buyer.sold is 'licences of paid purchases; moves with these';

create table monetization.purchase (
    key text primary key,
    round integer not null,
    buyer bytea not null,
    units integer not null,
    price_cents bigint not null,
    state text not null,
    reserved_at timestamptz not null,
    expires_at timestamptz not null,
    payment text,
    paid_at timestamptz,
    payment_journal bigint,
    ended_at timestamptz,
    refund_journal bigint,
    constraint purchase_key_form check (key ~ '^[A-Za-z0-9._:-]{1,100}$'),
    constraint purchase_round_exists foreign key (round) references monetization.sale_round (round),
    constraint purchase_buyer_is_address check (octet_length(buyer) = 20),
    constraint purchase_units_positive check (units > 0 and price_cents > 0),
    constraint purchase_state_known check (state in ('reserved', 'paid', 'cancelled', 'expired', 'refunded')),
    constraint purchase_expires_later check (expires_at > reserved_at),
    constraint purchase_paid_columns check (
        num_nonnulls(payment, paid_at, payment_journal) = case when state in ('paid', 'refunded') then 3 else 0 end
    ),
    constraint purchase_paid_in_time check (paid_at < expires_at),
    constraint purchase_ended_columns check ((ended_at is not null) = (state in ('cancelled', 'expired', 'refunded'))),
    constraint purchase_refunded_columns check ((refund_journal is not null) = (state = 'refunded')),
    constraint purchase_payment_once unique (payment),
    constraint purchase_payment_length check (length(payment) between 1 and 200)
);

create index purchase_by_buyer on monetization.purchase (buyer, reserved_at);
create index purchase_to_expire on monetization.purchase (round, expires_at) where state = 'reserved';

comment on table monetization.purchase is 'one row per purchase of licences, from its reservation on';
comment on column monetization.purchase.key is 'idempotency key that the buyer''s side chose; never changes';
comment on column monetization.purchase.round is 'the round, never changes';
comment on column monetization.purchase.buyer is 'the wallet, 20 bytes; never changes';
comment on column monetization.purchase.units is 'how many licences, never changes';
comment on column monetization.purchase.price_cents is 'of one licence, never changes';
comment on column monetization.purchase.state is 'reserved → paid, cancelled or expired; paid → refunded; changes with each step';
comment on column monetization.purchase.reserved_at is 'when it was reserved, never changes';
comment on column monetization.purchase.expires_at is 'until when it may be paid, never changes';
comment on column monetization.purchase.payment is 'what the payment is called outside; set when paid';
comment on column monetization.purchase.paid_at is 'when it was paid';
comment on column monetization.purchase.payment_journal is 'the ledger''s journal of the payment; set when paid';
comment on column monetization.purchase.ended_at is 'when it was cancelled, refunded or found expired';
comment on column monetization.purchase.refund_journal is 'the ledger''s journal of the refund; set when refunded';

create table monetization.licence (
    number bigint generated always as identity primary key,
    purchase_key text not null,
    place integer not null,
    owner bytea not null,
    issued_at timestamptz not null default now(),
    revoked_at timestamptz,
    constraint licence_purchase_exists foreign key (purchase_key) references monetization.purchase (key),
    constraint licence_once_for_each_unit unique (purchase_key, place),
    constraint licence_place_positive check (place > 0),
    constraint licence_owner_is_address check (octet_length(owner) = 20)
);

comment on table monetization.licence is 'one row per licence, issued when its purchase is paid';
comment on column monetization.licence.number is 'set when it is issued, never changes; a refused payment may leave a gap';
comment on column monetization.licence.purchase_key is 'the purchase, never changes';
comment on column monetization.licence.place is 'which of the purchase''s units it is, never changes';
comment on column monetization.licence.owner is 'to whom it was issued, 20 bytes; never changes';
comment on column monetization.licence.issued_at is 'when it was issued';
comment on column monetization.licence.revoked_at is 'when its purchase was refunded, null while it is good';

-- How many of a purchase's units are reserved, and how many sold, in a state.
create function monetization.count_purchase() returns trigger language plpgsql as $$
declare
    reserved_units integer := 0;
    sold_units integer := 0;
begin
    if tg_op = 'INSERT' then
        if new.state <> 'reserved' then
            raise exception 'purchase % begins as %', new.key, new.state using
                errcode = 'check_violation', constraint = 'purchase_begins_reserved', table = 'purchase', schema = 'monetization';
        end if;
        reserved_units := new.units;
        insert into monetization.sale_buyer (round, buyer, buyer_max)
        select new.round, new.buyer, sale_round.buyer_max from monetization.sale_round where round = new.round
        on conflict (round, buyer) do nothing;
    else
        if (new.key, new.round, new.buyer, new.units, new.price_cents, new.reserved_at, new.expires_at)
                is distinct from
                (old.key, old.round, old.buyer, old.units, old.price_cents, old.reserved_at, old.expires_at)
            or old.state = 'paid'
                and (new.payment, new.paid_at, new.payment_journal)
                    is distinct from (old.payment, old.paid_at, old.payment_journal)
            or (old.state, new.state) not in (
                ('reserved', 'paid'), ('reserved', 'cancelled'), ('reserved', 'expired'), ('paid', 'refunded')
            )
        then
            raise exception 'purchase % cannot go from % to %', new.key, old.state, new.state using
                errcode = 'check_violation', constraint = 'purchase_moves_forward', table = 'purchase', schema = 'monetization';
        end if;
        if old.state = 'reserved' then
            reserved_units := -new.units;
        end if;
        if new.state = 'paid' then
            sold_units := new.units;
        elsif new.state = 'refunded' then
            sold_units := -new.units;
        end if;
    end if;
    -- In one order everywhere: the round, then the buyer.
    update monetization.sale_round
    set reserved = reserved + reserved_units, sold = sold + sold_units
    where round = new.round;
    update monetization.sale_buyer
    set reserved = reserved + reserved_units, sold = sold + sold_units
    where round = new.round and buyer = new.buyer;
    return null;
end
$$;

create trigger purchase_counts after insert or update on monetization.purchase
    for each row execute function monetization.count_purchase();

create function monetization.keep_sale_round() returns trigger language plpgsql as $$
begin
    if (new.round, new.ruleset, new.supply, new.price_cents, new.least_tier, new.buyer_max)
            is distinct from (old.round, old.ruleset, old.supply, old.price_cents, old.least_tier, old.buyer_max)
        or pg_trigger_depth() = 1 and (new.reserved, new.sold) is distinct from (old.reserved, old.sold)
        or old.closed_at is not null
            and (new.opens_at, new.closes_at, new.closed_at, new.rolled_in, new.rolled_out)
                is distinct from (old.opens_at, old.closes_at, old.closed_at, old.rolled_in, old.rolled_out)
        or old.settled_at is not null
            and (new.reserved, new.sold, new.settled_at) is distinct from (old.reserved, old.sold, old.settled_at)
    then
        raise exception 'round %: its rules do not change, its counters move with purchases alone, and what is done is done',
            old.round using
            errcode = 'check_violation', constraint = 'sale_round_is_kept', table = 'sale_round', schema = 'monetization';
    end if;
    return new;
end
$$;

create trigger sale_round_kept before update on monetization.sale_round
    for each row execute function monetization.keep_sale_round();

create trigger sale_round_permanent before delete or truncate on monetization.sale_round
    for each statement execute function monetization.refuse_change();
create trigger sale_buyer_permanent before delete or truncate on monetization.sale_buyer
    for each statement execute function monetization.refuse_change();
create trigger sale_buyer_moved_by_purchases before insert or update on monetization.sale_buyer
    for each statement when (pg_trigger_depth() = 0) execute function monetization.refuse_change();
create trigger purchase_permanent before delete or truncate on monetization.purchase
    for each statement execute function monetization.refuse_change();
create trigger licence_permanent before delete or truncate or
    update of number, purchase_key, place, owner, issued_at on monetization.licence
    for each statement execute function monetization.refuse_change();
create trigger special_listing_immutable before update or delete or truncate on monetization.special_listing
    for each statement execute function monetization.refuse_change();
