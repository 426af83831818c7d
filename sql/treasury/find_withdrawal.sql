select id, key, account, asset, destination, country, state, ruleset, gross::text as "gross!", net::text as "net!",
    fee::text as "fee!", haircut::text as "haircut!", requested_day, matures_day, ended_day, journal_id, requested_at
from treasury.withdrawal
where id = $1
