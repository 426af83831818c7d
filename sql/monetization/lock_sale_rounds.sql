select round, ruleset, supply, rolled_in, rolled_out, reserved, sold, price_cents, least_tier, buyer_max,
    opens_at, closes_at, closed_at, settled_at
from monetization.sale_round
order by round
for update
