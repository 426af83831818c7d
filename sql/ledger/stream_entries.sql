-- The key by a lookup for each entry: a join would sort a large ledger on the disk before it gave the first row.
select entry.journal_id, entry.line,
    (select account.key from ledger.account where account.id = entry.account_id) as account,
    entry.side, entry.amount::text as "amount!"
from ledger.entry
where entry.journal_id > $1 and entry.journal_id <= $2
order by entry.journal_id, entry.line
