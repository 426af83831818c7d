-- One statement for the journal and its hold: the triggers judge it as a whole.
with journal as (
    insert into ledger.journal (key, event, description, content_digest, entry_count)
    values ($1, 'hold', $2, $3, 0)
    returning id
), hold as (
    insert into ledger.hold (id, debit_account_id, credit_account_id, amount, expires_at)
    select journal.id, debit.id, credit.id, $6::text::numeric, $7
    from journal
    join ledger.account debit on debit.key = $4
    join ledger.account credit on credit.key = $5
)
select id from journal
