select account.key as "account!", balance.floor::text as floor, balance.ceiling::text as ceiling
from ledger.balance
join ledger.account on account.id = balance.account_id
where balance.floor is not null or balance.ceiling is not null
order by account.key collate "C"
