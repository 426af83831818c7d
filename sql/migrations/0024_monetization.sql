-- Holdings of works, revenue, dividends.
--
-- An epoch of dividends is a UTC day. It has no states: one transaction seals its inputs, divides them and posts the
-- journals, so that a row is a day that is done.

create schema monetization;

comment on schema monetization is 'holdings of works, revenue, dividends';

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
    raise exception '% on monetization.% is refused: a correction is an entry of a later epoch',
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
