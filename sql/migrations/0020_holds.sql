-- Registered assets, holds, linked batches, limits, and a role that may post and do nothing else.
--
-- Whatever happens to the ledger is a link of one chain. A journal with entries moves balances; the other events have
-- no entries, and rows of their own that come in the same statement.

create table ledger.asset (
    code text primary key,
    decimals smallint not null,
    description text not null,
    registered_at timestamptz not null default now(),
    constraint asset_code_form check (code ~ '^[A-Za-z][A-Za-z0-9]{0,15}$'),
    constraint asset_decimals_known check (decimals between 0 and 36)
);

comment on table ledger.asset is 'what accounts may count; rows never change';
comment on column ledger.asset.code is 'what accounts call it, never changes';
comment on column ledger.asset.decimals is 'how many decimal places of one unit are a base unit; never changes';
comment on column ledger.asset.description is 'what it is, for people; never changes';
comment on column ledger.asset.registered_at is 'when the row was inserted; never changes';

insert into ledger.asset (code, decimals, description) values
    ('TALE', 18, 'the network''s token'),
    ('xTALE', 18, 'the claim on TALE that rewards accrue as'),
    ('USD', 2, 'US dollars, counted in cents'),
    ('CREDIT', 0, 'credits that generation is metered in');
insert into ledger.asset (code, decimals, description)
select distinct asset, 18, 'in use before assets were registered'
from ledger.account
where asset not in (select code from ledger.asset);

alter table ledger.journal
    add column event text not null default 'journal',
    add column hold_id bigint,
    add column member_count integer,
    drop constraint journal_has_two_entries,
    add constraint journal_event_known
        check (event in ('journal', 'hold', 'post', 'void', 'expire', 'limit', 'batch')),
    add constraint journal_has_two_entries
        check (case event when 'journal' then entry_count >= 2 when 'post' then entry_count = 2 else entry_count = 0 end),
    add constraint journal_ends_a_hold check ((hold_id is not null) = (event in ('post', 'void', 'expire'))),
    add constraint journal_links_members
        check (case event when 'batch' then coalesce(member_count between 1 and 10000, false) else member_count is null end);

-- A hold ends exactly once.
create unique index journal_hold_ended_once on ledger.journal (hold_id) where hold_id is not null;
create index journal_by_epoch on ledger.journal (epoch, id) where epoch is not null;
create index journal_by_time on ledger.journal (posted_at, id);

comment on table ledger.journal is 'one row per link of the chain, with entries or without; rows are inserted whole and never change';
comment on column ledger.journal.event is 'what happened: a journal, a hold and its end, a limit, the seal of a batch; never changes';
comment on column ledger.journal.hold_id is 'the hold that this posts, voids or lets expire, null for other events; never changes';
comment on column ledger.journal.member_count is 'how many links before this one are the members of the batch that it seals, null for other events; never changes';
comment on column ledger.journal.entry_count is 'how many entries it has: its seal, since lines 1..n are taken and no other line is allowed; 0 where the event moves no balance';
comment on column ledger.journal.content_digest is 'SHA-256 of the event''s content in canonical form';
comment on column ledger.journal.posted_at is 'when it took its place in the chain, never before the link before it; set by trigger';

create table ledger.hold (
    id bigint primary key,
    debit_account_id bigint not null,
    credit_account_id bigint not null,
    amount numeric(78, 0) not null,
    expires_at timestamptz,
    ended_by bigint,
    constraint hold_amount_positive check (amount > 0),
    constraint hold_between_two_accounts check (debit_account_id <> credit_account_id),
    constraint hold_ends_later check (ended_by > id)
);

create index hold_by_debit_account on ledger.hold (debit_account_id, id);
create index hold_by_credit_account on ledger.hold (credit_account_id, id);
create index hold_open on ledger.hold (id) where ended_by is null;
create index hold_open_by_expiry on ledger.hold (expires_at, id) where ended_by is null;

comment on table ledger.hold is 'one row per pending transfer, inserted with its journal';
comment on column ledger.hold.id is 'its journal''s, never changes';
comment on column ledger.hold.debit_account_id is 'the account that posting debits, never changes';
comment on column ledger.hold.credit_account_id is 'the account that posting credits, never changes';
comment on column ledger.hold.amount is 'base units that it reserves, above zero; never changes';
comment on column ledger.hold.expires_at is 'from when it can no longer be posted, null where it waits for ever; never changes';
comment on column ledger.hold.ended_by is 'the journal that posted it, voided it or let it expire; null while it is open, set once, by trigger alone';

create table ledger.account_limit (
    journal_id bigint primary key,
    account_id bigint not null,
    floor numeric(78, 0),
    ceiling numeric(78, 0),
    constraint limit_floor_positive check (floor >= 0),
    constraint limit_ceiling_above_floor check (ceiling >= coalesce(floor, 0))
);

create index account_limit_by_account on ledger.account_limit (account_id, journal_id);

comment on table ledger.account_limit is 'one row per setting of an account''s limits, inserted with its journal; the last one counts; rows never change';
comment on column ledger.account_limit.journal_id is 'the journal that set it, never changes';
comment on column ledger.account_limit.account_id is 'whose limits they are, never changes';
comment on column ledger.account_limit.floor is 'base units below which the available balance may not fall, null for no more than the kind''s own law; never changes';
comment on column ledger.account_limit.ceiling is 'base units that the balance and all that is pending into it may not pass, null for none; never changes';

alter table ledger.balance
    add column pending_debits numeric(78, 0) not null default 0,
    add column pending_credits numeric(78, 0) not null default 0,
    add column floor numeric(78, 0),
    add column ceiling numeric(78, 0),
    drop constraint balance_sums_fit,
    drop constraint balance_not_overdrawn,
    add constraint balance_pending_positive check (pending_debits >= 0 and pending_credits >= 0),
    add constraint balance_sums_fit check (
        greatest(debits + pending_debits, credits + pending_credits)
            < 115792089237316195423570985008687907853269984665640564039457584007913129639936
    ),
    -- What is available is the balance without what is pending out of it.
    add constraint balance_not_overdrawn check (
        case normal_side
            when 'debit' then debits >= credits + pending_credits
            else credits >= debits + pending_debits
        end
    ),
    add constraint balance_above_floor check (
        floor is null or case normal_side
            when 'debit' then debits >= credits + pending_credits + floor
            else credits >= debits + pending_debits + floor
        end
    ),
    add constraint balance_below_ceiling check (
        ceiling is null or case normal_side
            when 'debit' then debits + pending_debits <= credits + ceiling
            else credits + pending_credits <= debits + ceiling
        end
    );

comment on column ledger.balance.pending_debits is 'sum of the open holds that would debit it; moves when one opens or ends, by trigger alone';
comment on column ledger.balance.pending_credits is 'sum of the open holds that would credit it; moves when one opens or ends, by trigger alone';
comment on column ledger.balance.floor is 'the last limit''s floor; moves with the limit, by trigger alone';
comment on column ledger.balance.ceiling is 'the last limit''s ceiling; moves with the limit, by trigger alone';

-- Posters wait for each other here. A function, since locking a row takes the right to change it.
create function ledger.lock_head() returns bigint language sql security definer set search_path = ledger, pg_temp as $$
    select journal_id from ledger.chain_head for update
$$;

-- Gives a journal its place and its time. Locking the head first makes posters queue, so that places follow commits.
create or replace function ledger.link_journal() returns trigger
language plpgsql security definer set search_path = ledger, pg_temp as $$
declare
    head ledger.chain_head;
begin
    select * into strict head from ledger.chain_head for update;
    new.id := head.journal_id + 1;
    new.previous_chain_digest := head.chain_digest;
    new.chain_digest := sha256(head.chain_digest || new.content_digest);
    -- The clock may be set back; places and times do not disagree for that.
    new.posted_at := greatest(
        clock_timestamp(), (select posted_at from ledger.journal where id = head.journal_id)
    );
    update ledger.chain_head set journal_id = new.id, chain_digest = new.chain_digest;
    return new;
end
$$;

-- The balance's constraints name no account that a caller could read. PostgreSQL describes the row that broke one by
-- its columns, of which the account is the first.
create function ledger.refuse_balance(law text, described_row text) returns void language plpgsql as $$
declare
    culprit constant text :=
        (select key from ledger.account where id = substring(described_row from '\(([0-9]+),')::bigint);
begin
    raise exception 'account % would break the law %', culprit, law using
        errcode = 'check_violation', constraint = law, table = 'balance', schema = 'ledger', detail = culprit;
end
$$;

-- Events that are not whole, a place that was given to a row which a conflict then skipped, and the ends of holds.
create or replace function ledger.check_journals() returns trigger
language plpgsql security definer set search_path = ledger, pg_temp as $$
declare
    bare text;
    batch record;
begin
    select j.key into bare from new_rows j
    where case j.event
        when 'hold' then not exists (select from ledger.hold h where h.id = j.id)
        when 'limit' then not exists (select from ledger.account_limit l where l.journal_id = j.id)
        else j.entry_count > 0 and not exists (select from ledger.entry e where e.journal_id = j.id and e.line = 1)
    end
    limit 1;
    if found then
        raise exception 'journal % has no entries, or nothing that its event is about', bare using
            errcode = 'check_violation', constraint = 'journal_complete', table = 'journal', schema = 'ledger';
    end if;
    if (select journal_id from ledger.chain_head) <> (select coalesce(max(id), 0) from ledger.journal) then
        raise exception 'a journal was skipped after it had taken its place in the chain' using
            errcode = 'check_violation', constraint = 'journal_chain_gapless', table = 'journal', schema = 'ledger';
    end if;
    for batch in select id, member_count from new_rows where event = 'batch' loop
        if batch.member_count >= batch.id or exists (
            select from ledger.journal
            where id between batch.id - batch.member_count and batch.id - 1 and event = 'batch'
        ) then
            raise exception 'batch % does not have % members of its own', batch.id, batch.member_count using
                errcode = 'check_violation', constraint = 'batch_has_its_members', table = 'journal', schema = 'ledger';
        end if;
    end loop;
    if exists (select from new_rows where hold_id is not null) then
        perform ledger.end_hold(id, event, hold_id) from new_rows where hold_id is not null;
    end if;
    return null;
end
$$;

-- Ends a hold: what it reserved is free again, and its entries, if it is posted, move next.
create function ledger.end_hold(journal bigint, how text, held_by bigint) returns void language plpgsql as $$
declare
    held ledger.hold;
begin
    update ledger.hold set ended_by = journal where id = held_by and ended_by is null returning * into held;
    if not found then
        raise exception 'hold % is not open', held_by using
            errcode = 'check_violation', constraint = 'hold_is_open', table = 'hold', schema = 'ledger';
    end if;
    if how = 'post' and held.expires_at <= clock_timestamp() then
        raise exception 'hold % expired at %', held_by, held.expires_at using
            errcode = 'check_violation', constraint = 'hold_not_expired', table = 'hold', schema = 'ledger',
            detail = (select key from ledger.journal where id = held_by);
    end if;
    if how = 'expire' and coalesce(held.expires_at > clock_timestamp(), true) then
        raise exception 'hold % has not expired', held_by using
            errcode = 'check_violation', constraint = 'hold_expired', table = 'hold', schema = 'ledger';
    end if;
    if how = 'post' and 2 <> (
        select count(distinct side) from ledger.entry
        where journal_id = journal and amount <= held.amount
            and account_id = case side when 'debit' then held.debit_account_id else held.credit_account_id end
    ) then
        raise exception 'hold % is posted between other accounts, or beyond its amount', held_by using
            errcode = 'check_violation', constraint = 'hold_posts_what_it_held', table = 'hold', schema = 'ledger';
    end if;
    update ledger.balance set pending_debits = pending_debits - held.amount where account_id = held.debit_account_id;
    update ledger.balance set pending_credits = pending_credits - held.amount where account_id = held.credit_account_id;
end
$$;

-- Opens the holds of a statement: what they reserve counts from now on.
create function ledger.open_holds() returns trigger
language plpgsql security definer set search_path = ledger, pg_temp as $$
declare
    culprit bigint;
    law text;
    described_row text;
begin
    select n.id into culprit
    from new_rows n
    left join ledger.journal j on j.id = n.id and j.event = 'hold'
    left join ledger.account debit on debit.id = n.debit_account_id
    left join ledger.account credit on credit.id = n.credit_account_id
    where j.id is null or n.ended_by is not null or debit.asset is distinct from credit.asset or debit.asset is null
    limit 1;
    if found then
        raise exception 'hold % has no journal, or no two accounts of one asset', culprit using
            errcode = 'check_violation', constraint = 'hold_of_one_asset', table = 'hold', schema = 'ledger';
    end if;
    select id into culprit from new_rows where expires_at <= clock_timestamp() limit 1;
    if found then
        raise exception 'hold % would have expired before it opens', culprit using
            errcode = 'check_violation', constraint = 'hold_expires_later', table = 'hold', schema = 'ledger';
    end if;

    begin
        update ledger.balance b
        set pending_debits = b.pending_debits + moved.debits, pending_credits = b.pending_credits + moved.credits
        from (
            select account_id, sum(debit) as debits, sum(credit) as credits
            from new_rows
            cross join lateral (values (debit_account_id, amount, 0), (credit_account_id, 0, amount))
                as side (account_id, debit, credit)
            group by account_id
        ) moved
        where b.account_id = moved.account_id;
    exception when check_violation then
        get stacked diagnostics law = constraint_name, described_row = pg_exception_detail;
        perform ledger.refuse_balance(law, described_row);
    end;
    return null;
end
$$;

create trigger hold_1_open after insert on ledger.hold
    referencing new table as new_rows
    for each statement execute function ledger.open_holds();

create function ledger.apply_limits() returns trigger
language plpgsql security definer set search_path = ledger, pg_temp as $$
declare
    law text;
    described_row text;
begin
    if exists (
        select from new_rows n
        left join ledger.journal j on j.id = n.journal_id and j.event = 'limit'
        left join ledger.account a on a.id = n.account_id
        where j.id is null or a.id is null
    ) then
        raise exception 'a limit has no journal or no account' using
            errcode = 'check_violation', constraint = 'limit_of_an_account', table = 'account_limit', schema = 'ledger';
    end if;
    begin
        update ledger.balance b set floor = n.floor, ceiling = n.ceiling
        from new_rows n
        where b.account_id = n.account_id;
    exception when check_violation then
        get stacked diagnostics law = constraint_name, described_row = pg_exception_detail;
        perform ledger.refuse_balance(law, described_row);
    end;
    return null;
end
$$;

create trigger account_limit_1_apply after insert on ledger.account_limit
    referencing new table as new_rows
    for each statement execute function ledger.apply_limits();

-- The heart: each journal in the statement is whole and balanced in every asset, then the balances move.
create or replace function ledger.post_entries() returns trigger
language plpgsql security definer set search_path = ledger, pg_temp set work_mem = '64MB' as $$
declare
    culprit record;
    law text;
    described_row text;
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
        get stacked diagnostics law = constraint_name, described_row = pg_exception_detail;
        perform ledger.refuse_balance(law, described_row);
    end;
    return null;
end
$$;

-- All assets of a statement at once: a foreign key would look each account's up on its own.
create or replace function ledger.open_balances() returns trigger
language plpgsql security definer set search_path = ledger, pg_temp as $$
declare
    unknown text;
begin
    select asset into unknown from (select distinct asset from new_rows) given
    where not exists (select from ledger.asset where code = given.asset)
    limit 1;
    if found then
        raise exception 'asset % is not registered', unknown using
            errcode = 'check_violation', constraint = 'account_asset_known', table = 'account', schema = 'ledger',
            detail = unknown;
    end if;
    insert into ledger.balance (account_id, normal_side) select id, normal_side from new_rows;
    return null;
end
$$;

create trigger hold_0_permanent before delete or truncate on ledger.hold
    for each statement execute function ledger.refuse_change();
create trigger hold_2_ended_by_journals before update on ledger.hold
    for each statement when (pg_trigger_depth() = 0) execute function ledger.refuse_change();
create trigger account_limit_0_immutable before update or delete or truncate on ledger.account_limit
    for each statement execute function ledger.refuse_change();
create trigger asset_0_immutable before update or delete or truncate on ledger.asset
    for each statement execute function ledger.refuse_change();

-- The role of whoever posts and does nothing else: it adds journals, entries, accounts and holds, reads the ledger, and
-- can change or remove nothing. The triggers above move balances and the head with their owner's rights.
--
-- Roles belong to the whole server, so that it may be there already; and whoever migrates may not be allowed to make
-- roles, which must not keep the rest of the product from starting.
do $$
begin
    if not exists (select from pg_roles where rolname = 'tale_ledger_poster') then
        create role tale_ledger_poster nologin;
        comment on role tale_ledger_poster is 'Posts to the ledger; can change and remove nothing there.';
    end if;
    execute format('grant tale_ledger_poster to %I', current_user);
exception
    when insufficient_privilege or duplicate_object or unique_violation then
        raise notice 'role tale_ledger_poster was not made or granted (%)', sqlerrm;
end
$$;

revoke execute on all functions in schema ledger from public;

do $$
begin
    if exists (select from pg_roles where rolname = 'tale_ledger_poster') then
        grant usage on schema ledger to tale_ledger_poster;
        grant select on all tables in schema ledger to tale_ledger_poster;
        grant insert on ledger.account, ledger.journal, ledger.entry, ledger.hold to tale_ledger_poster;
        grant execute on function ledger.lock_head() to tale_ledger_poster;
    end if;
end
$$;
