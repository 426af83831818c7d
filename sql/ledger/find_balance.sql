select key as "key!", debits::text as "debits!", credits::text as "credits!"
from ledger.account
where key = $1
