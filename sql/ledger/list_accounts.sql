select id, key as "key!", asset, debits::text as "debits!", credits::text as "credits!"
from ledger.account
