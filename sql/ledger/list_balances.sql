select key as "key!", debits::text as "debits!", credits::text as "credits!",
    pending_debits::text as "pending_debits!", pending_credits::text as "pending_credits!"
from ledger.account
join ledger.balance on balance.account_id = account.id
where ($1::text is null or kind = $1) and ($2::text is null or asset = $2)
order by key collate "C"
