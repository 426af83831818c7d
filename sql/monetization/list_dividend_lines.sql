select origin_day, kind, work, asset, event_count, gross::text as "gross!", fee::text as "fee!",
    network::text as "network!", distributed::text as "distributed!", carried::text as "carried!"
from monetization.dividend_line
where day = $1
