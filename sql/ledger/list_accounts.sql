select id, key as "key!", asset, debits::text as "debits!", credits::text as "credits!"
from ledger.account
join ledger.balance on balance.account_id = account.id
