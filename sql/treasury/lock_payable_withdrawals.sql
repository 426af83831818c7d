select id, key, account, asset, destination, country, state, ruleset, gross::text as "gross!", net::text as "net!",
    fee::text as "fee!", haircut::text as "haircut!", requested_day, matures_day, ended_day, journal_id, requested_at
from treasury.withdrawal
where state = 'matured'
    and not exists (
        select from treasury.withdrawal_denial denial
        where denial.account = withdrawal.account and denial.lifted_at is null
    )
order by id
limit $1
for update
