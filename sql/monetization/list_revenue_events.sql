select event_id, occurred_at, kind, work, gross::text as "gross!", asset, payer
from monetization.revenue_event
where day = $1
