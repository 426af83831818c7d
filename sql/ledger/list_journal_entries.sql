select account.key as "account!", entry.side, entry.amount::text as "amount!"
from ledger.entry
join ledger.account on account.id = entry.account_id
where entry.journal_id = $1
order by entry.line
