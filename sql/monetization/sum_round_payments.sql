select coalesce(sum(units * price_cents), 0)::text as "cents!"
from monetization.purchase
where round = $1 and state = 'paid'
