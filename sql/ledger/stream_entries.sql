select journal_id, line, account_id, side, amount::text as "amount!"
from ledger.entry
order by journal_id, line
