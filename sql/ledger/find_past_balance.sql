-- By the indexes on account and journal: what it costs grows with the account's own history, and with nobody else's.
select account.key as "key!", moved.debits::text as "debits!", moved.credits::text as "credits!",
    (
        select coalesce(sum(amount), 0)::text from ledger.hold
        where debit_account_id = account.id and id <= $2 and (ended_by is null or ended_by > $2)
    ) as "pending_debits!",
    (
        select coalesce(sum(amount), 0)::text from ledger.hold
        where credit_account_id = account.id and id <= $2 and (ended_by is null or ended_by > $2)
    ) as "pending_credits!"
from ledger.account
cross join lateral (
    select coalesce(sum(amount) filter (where side = 'debit'), 0) as debits,
        coalesce(sum(amount) filter (where side = 'credit'), 0) as credits
    from ledger.entry
    where account_id = account.id and journal_id <= $2
) moved
where account.key = $1
