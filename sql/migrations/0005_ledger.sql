-- Double entry, enforced here: a wrong program can fail to post, but it cannot post something wrong.
--
-- A journal and all of its entries are inserted by one statement. The statement-level triggers see the whole of it
-- through transition tables, refuse what is unbalanced or incomplete, and move the balances; nothing else may.

create schema ledger;

comment on schema ledger is 'accounts, journals, entries: double entry in base units';

create table ledger.account (
    id bigint generated always as identity primary key,
    kind text not null,
    name text not null,
    asset text not null,
    key text not null generated always as (kind || ':' || name || ':' || asset) stored,
    normal_side text not null generated always as (case kind when 'issuance' then 'debit' else 'credit' end) stored,
    opened_at timestamptz not null default now(),
    constraint account_key_unique unique (key),
    constraint account_kind_known check (kind in ('holder', 'issuance', 'pool', 'treasury')),
    constraint account_name_form check (
        case kind when 'holder' then name ~ '^0x[0-9a-f]{40}$' else name ~ '^[a-z][a-z0-9_-]{0,62}$' end
    ),
    constraint account_asset_form check (asset ~ '^[A-Za-z][A-Za-z0-9]{0,15}$')
);

comment on table ledger.account is 'one row per owner and asset; rows never change';
comment on column ledger.account.id is 'set when the account opens, never changes';
comment on column ledger.account.kind is 'what the account is for; set when it opens, never changes';
comment on column ledger.account.name is 'whose it is: the owner''s address in lower case, or a name; set when it opens, never changes';
comment on column ledger.account.asset is 'what it counts; set when it opens, never changes';
comment on column ledger.account.key is 'derived from kind, name and asset';
comment on column ledger.account.normal_side is 'derived from the kind: the side on which its balance may not fall below zero';
comment on column ledger.account.opened_at is 'when the row was inserted; never changes';

-- Apart from the account, because every posting rewrites these rows: narrow ones with room left in their pages,
-- and without the account's costlier checks, are written four times as fast.
create table ledger.balance (
    account_id bigint primary key,
    normal_side text not null,
    debits numeric(78, 0) not null default 0,
    credits numeric(78, 0) not null default 0,
    constraint balance_side_known check (normal_side in ('debit', 'credit')),
    constraint balance_sums_positive check (debits >= 0 and credits >= 0),
    -- 2^256: what the EVM and our own arithmetic can hold.
    constraint balance_sums_fit check (
        greatest(debits, credits) < 115792089237316195423570985008687907853269984665640564039457584007913129639936
    ),
    constraint balance_not_overdrawn check (
        case normal_side when 'debit' then debits >= credits else credits >= debits end
    )
) with (fillfactor = 50);

comment on table ledger.balance is 'the running sums of each account; opened with it';
comment on column ledger.balance.account_id is 'the account, never changes';
comment on column ledger.balance.normal_side is 'the account''s, never changes';
comment on column ledger.balance.debits is 'sum of its debits; grows with every journal that debits it, by trigger alone';
comment on column ledger.balance.credits is 'sum of its credits; grows with every journal that credits it, by trigger alone';

create table ledger.journal (
    id bigint primary key,
    key text not null,
    epoch date,
    description text not null,
    entry_count integer not null,
    content_digest bytea not null,
    previous_chain_digest bytea not null,
    chain_digest bytea not null,
    posted_at timestamptz not null default now(),
    constraint journal_key_unique unique (key),
    constraint journal_key_form check (length(key) between 1 and 200),
    constraint journal_has_two_entries check (entry_count >= 2),
    constraint journal_content_digest_length check (octet_length(content_digest) = 32),
    constraint journal_previous_digest_length check (octet_length(previous_chain_digest) = 32),
    constraint journal_chain_links check (chain_digest = sha256(previous_chain_digest || content_digest))
);

comment on table ledger.journal is 'one row per posted journal; rows are inserted whole and never change';
comment on column ledger.journal.id is 'place in the chain, without gaps; set by trigger';
comment on column ledger.journal.key is 'idempotency key that the poster chose';
comment on column ledger.journal.epoch is 'the UTC day that the journal settles, null outside settlement; not the day of posting';
comment on column ledger.journal.description is 'why, for people; part of the content';
comment on column ledger.journal.entry_count is 'how many entries it has: its seal, since lines 1..n are taken and no other line is allowed';
comment on column ledger.journal.content_digest is 'SHA-256 of key, epoch, description and entries in canonical order';
comment on column ledger.journal.previous_chain_digest is 'chain digest of the journal before it, zeros for the first; set by trigger';
comment on column ledger.journal.chain_digest is 'SHA-256 of the previous chain digest and the content digest; set by trigger';
comment on column ledger.journal.posted_at is 'start of the transaction that posted it';

create table ledger.entry (
    journal_id bigint not null,
    line integer not null,
    account_id bigint not null,
    side text not null,
    amount numeric(78, 0) not null,
    primary key (journal_id, line),
    constraint entry_side_known check (side in ('debit', 'credit')),
    constraint entry_amount_positive check (amount > 0)
);

create index entry_by_account on ledger.entry (account_id, journal_id);

-- No foreign keys here or on the balances: they would look up every row on its own, a second per 100,000 entries. The
-- triggers check all of a statement's rows at once, and nothing that they refer to can be removed.
comment on table ledger.entry is 'one row per line of a journal; rows are inserted with their journal and never change';
comment on column ledger.entry.journal_id is 'the journal, never changes';
comment on column ledger.entry.line is 'place in the journal, 1..entry_count, in canonical order; never changes';
comment on column ledger.entry.account_id is 'the account it moves, never changes';
comment on column ledger.entry.side is 'debit or credit, never changes';
comment on column ledger.entry.amount is 'base units, above zero; never changes';

create table ledger.chain_head (
    is_only boolean primary key default true,
    journal_id bigint not null,
    chain_digest bytea not null,
    constraint chain_head_is_only_row check (is_only),
    constraint chain_head_digest_length check (octet_length(chain_digest) = 32)
);

comment on table ledger.chain_head is 'one row, locked by whoever posts: the last link of the chain';
comment on column ledger.chain_head.is_only is 'always true: there is one row';
comment on column ledger.chain_head.journal_id is 'id of the last journal, 0 before the first; moves with every journal, by trigger alone';
comment on column ledger.chain_head.chain_digest is 'chain digest of the last journal, zeros before the first; moves with every journal, by trigger alone';

insert into ledger.chain_head (journal_id, chain_digest) values (0, decode(repeat('00', 32), 'hex'));

-- Gives a journal its place. Locking the head first makes posters queue, so that places follow commits.
create function ledger.link_journal() returns trigger language plpgsql as $$
declare
    head ledger.chain_head;
begin
    select * into strict head from ledger.chain_head for update;
    new.id := head.journal_id + 1;
    new.previous_chain_digest := head.chain_digest;
    new.chain_digest := sha256(head.chain_digest || new.content_digest);
    update ledger.chain_head set journal_id = new.id, chain_digest = new.chain_digest;
    return new;
end
$$;

create trigger journal_1_link before insert on ledger.journal
    for each row execute function ledger.link_journal();

-- A journal without its entries, and a place that was given to a row which a conflict then skipped.
create function ledger.check_journals() returns trigger language plpgsql as $$
declare
    bare text;
begin
    select j.key into bare from new_rows j
    where not exists (select from ledger.entry e where e.journal_id = j.id and e.line = 1)
    limit 1;
    if found then
        raise exception 'journal % has no entries', bare using
            errcode = 'check_violation', constraint = 'journal_complete', table = 'journal', schema = 'ledger';
    end if;
    if (select journal_id from ledger.chain_head) <> (select coalesce(max(id), 0) from ledger.journal) then
        raise exception 'a journal was skipped after it had taken its place in the chain' using
            errcode = 'check_violation', constraint = 'journal_chain_gapless', table = 'journal', schema = 'ledger';
    end if;
    return null;
end
$$;

create trigger journal_2_check after insert on ledger.journal
    referencing new table as new_rows
    for each statement execute function ledger.check_journals();

-- The heart: each journal in the statement is whole and balanced in every asset, then the balances move.
create function ledger.post_entries() returns trigger language plpgsql set work_mem = '64MB' as $$
declare
    culprit record;
begin
    -- Lines 1..n exactly. A second statement for the same journal would repeat a line or not begin at 1.
    select n.journal_id, count(*) as given, j.entry_count into culprit
    from new_rows n left join ledger.journal j on j.id = n.journal_id
    group by n.journal_id, j.entry_count
    having j.entry_count is null or min(n.line) <> 1 or max(n.line) <> count(*) or count(*) <> j.entry_count
    limit 1;
    if found then
        raise exception 'journal % is sealed with % entries, a statement brought %',
            culprit.journal_id, coalesce(culprit.entry_count, 0), culprit.given using
            errcode = 'check_violation', constraint = 'journal_sealed', table = 'entry', schema = 'ledger';
    end if;

    select n.journal_id, a.asset into culprit
    from new_rows n left join ledger.account a on a.id = n.account_id
    group by n.journal_id, a.asset
    having a.asset is null or sum(case n.side when 'debit' then n.amount else -n.amount end) <> 0
    limit 1;
    if found then
        raise exception 'journal % does not balance in %',
            culprit.journal_id, coalesce(culprit.asset, 'an account that does not exist') using
            errcode = 'check_violation', constraint = 'journal_balanced', table = 'entry', schema = 'ledger';
    end if;

    begin
        update ledger.balance b
        set debits = b.debits + moved.debits, credits = b.credits + moved.credits
        from (
            select account_id,
                coalesce(sum(amount) filter (where side = 'debit'), 0) as debits,
                coalesce(sum(amount) filter (where side = 'credit'), 0) as credits
            from new_rows group by account_id
        ) moved
        where b.account_id = moved.account_id;
    exception when check_violation then
        -- The constraint names no account that a caller could read: say which one it was.
        select a.key into culprit
        from ledger.balance b
        join ledger.account a on a.id = b.account_id
        join (
            select account_id, sum(case side when 'debit' then amount else -amount end) as net_debit
            from new_rows group by account_id
        ) moved on moved.account_id = a.id
        where case b.normal_side
            when 'debit' then b.debits - b.credits + moved.net_debit
            else b.credits - b.debits - moved.net_debit
        end < 0
        order by a.key collate "C"
        limit 1;
        if not found then
            raise;
        end if;
        raise exception 'account % would be overdrawn', culprit.key using
            errcode = 'check_violation', constraint = 'balance_not_overdrawn', table = 'balance', schema = 'ledger',
            detail = culprit.key;
    end;
    return null;
end
$$;

create trigger entry_1_post after insert on ledger.entry
    referencing new table as new_rows
    for each statement execute function ledger.post_entries();

create function ledger.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% on ledger.% is refused: a correction is a new journal', lower(tg_op), tg_table_name using
        errcode = 'check_violation', constraint = 'ledger_immutable', table = tg_table_name, schema = 'ledger';
end
$$;

create trigger journal_0_immutable before update or delete or truncate on ledger.journal
    for each statement execute function ledger.refuse_change();
create trigger entry_0_immutable before update or delete or truncate on ledger.entry
    for each statement execute function ledger.refuse_change();
create trigger account_0_immutable before update or delete or truncate on ledger.account
    for each statement execute function ledger.refuse_change();
create trigger balance_0_permanent before delete or truncate on ledger.balance
    for each statement execute function ledger.refuse_change();
create trigger chain_head_0_permanent before insert or delete or truncate on ledger.chain_head
    for each statement execute function ledger.refuse_change();

-- Balances and the head move inside the triggers of this file and nowhere else.
create trigger balance_1_moved_by_entries before insert or update on ledger.balance
    for each statement when (pg_trigger_depth() = 0) execute function ledger.refuse_change();
create trigger chain_head_1_moved_by_journals before update on ledger.chain_head
    for each statement when (pg_trigger_depth() = 0) execute function ledger.refuse_change();

create function ledger.open_balances() returns trigger language plpgsql as $$
begin
    insert into ledger.balance (account_id, normal_side) select id, normal_side from new_rows;
    return null;
end
$$;

create trigger account_1_open_balance after insert on ledger.account
    referencing new table as new_rows
    for each statement execute function ledger.open_balances();
