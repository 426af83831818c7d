insert into monetization.sale_round (round, ruleset, supply, price_cents, least_tier, buyer_max)
select round, $1, supply, price_cents, least_tier, buyer_max
from unnest($2::integer[], $3::integer[], $4::bigint[], $5::text[], $6::integer[])
    as given (round, supply, price_cents, least_tier, buyer_max)
on conflict (round) do nothing
