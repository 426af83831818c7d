select entry.journal_id, journal.key, journal.event, journal.epoch, journal.posted_at, entry.line,
    account.key as "account!", entry.side, entry.amount::text as "amount!"
from ledger.entry
join ledger.journal on journal.id = entry.journal_id
join ledger.account on account.id = entry.account_id
where entry.journal_id between $1 and $2
order by entry.journal_id, entry.line
