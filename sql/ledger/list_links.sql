-- A page of the chain, with what the content of each event is made of.
select journal.id, journal.key, journal.event, journal.epoch, journal.description, journal.entry_count,
    journal.content_digest, journal.chain_digest, journal.member_count,
    ended.key as "ended_hold?",
    debit.key as "debit?", credit.key as "credit?", hold.amount::text as hold_amount, hold.expires_at as "expires_at?",
    limited.key as "limited?", account_limit.floor::text as floor, account_limit.ceiling::text as ceiling
from ledger.journal
left join ledger.journal ended on ended.id = journal.hold_id
left join ledger.hold on hold.id = journal.id
left join ledger.account debit on debit.id = hold.debit_account_id
left join ledger.account credit on credit.id = hold.credit_account_id
left join ledger.account_limit on account_limit.journal_id = journal.id
left join ledger.account limited on limited.id = account_limit.account_id
where journal.id > $1
order by journal.id
limit $2
