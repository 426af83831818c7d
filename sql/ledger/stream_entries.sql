select entry.journal_id, entry.line, account.key as "account?", entry.side, entry.amount::text as "amount!"
from ledger.entry
left join ledger.account on account.id = entry.account_id
where entry.journal_id > $1 and entry.journal_id <= $2
order by entry.journal_id, entry.line
