-- One statement for the journal and all of its entries: the triggers judge it as a whole.
with journal as (
    insert into ledger.journal (key, epoch, description, content_digest, entry_count)
    values ($1, $2, $3, $4, cardinality($5::text[]))
    returning id
), entries as (
    insert into ledger.entry (journal_id, line, account_id, side, amount)
    select journal.id, given.line, account.id, given.side, given.amount::numeric
    from journal
    cross join unnest($5::text[], $6::text[], $7::text[]) with ordinality as given (account, side, amount, line)
    join ledger.account on account.key = given.account
)
select id from journal
