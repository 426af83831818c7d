select hold.id, journal.key, journal.description, journal.posted_at as opened_at,
    debit.key as "debit!", credit.key as "credit!", hold.amount::text as "amount!", hold.expires_at,
    hold.expires_at <= clock_timestamp() as has_expired,
    hold.ended_by, ending.event as "ending_event?", posted.amount::text as posted_amount
from ledger.hold
join ledger.journal on journal.id = hold.id
join ledger.account debit on debit.id = hold.debit_account_id
join ledger.account credit on credit.id = hold.credit_account_id
left join ledger.journal ending on ending.id = hold.ended_by
left join ledger.entry posted on posted.journal_id = hold.ended_by and posted.line = 1
where hold.id = $1
