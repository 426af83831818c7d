select key as "key!", debits::text as "debits!", credits::text as "credits!",
    pending_debits::text as "pending_debits!", pending_credits::text as "pending_credits!"
from ledger.account
join ledger.balance on balance.account_id = account.id
where key = $1
