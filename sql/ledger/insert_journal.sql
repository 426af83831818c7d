-- One statement for the journal and all of its entries: the triggers judge it as a whole.
with journal as (
    insert into ledger.journal
        (key, event, hold_id, member_count, epoch, description, content_digest, entry_count)
    values ($1, $2, $3, $4, $5, $6, $7, cardinality($8::text[]))
    returning id
), entries as (
    insert into ledger.entry (journal_id, line, account_id, side, amount)
    select journal.id, given.line, account.id,
        case when given.is_debit then 'debit' else 'credit' end, given.amount::numeric
    from journal
    cross join unnest($8::text[], $9::boolean[], $10::text[])
        with ordinality as given (account, is_debit, amount, line)
    join ledger.account on account.key = given.account
)
select id from journal
