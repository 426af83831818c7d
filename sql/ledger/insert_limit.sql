-- One statement for the journal and its limits: the triggers judge it as a whole.
with journal as (
    insert into ledger.journal (key, event, description, content_digest, entry_count)
    values ($1, 'limit', $2, $3, 0)
    returning id
), account_limit as (
    insert into ledger.account_limit (journal_id, account_id, floor, ceiling)
    select journal.id, account.id, $5::text::numeric, $6::text::numeric
    from journal
    join ledger.account on account.key = $4
)
select id from journal
