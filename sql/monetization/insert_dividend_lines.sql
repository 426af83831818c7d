insert into monetization.dividend_line
    (day, origin_day, kind, work, asset, event_count, gross, fee, network, distributed, carried)
select $1, origin_day, kind, work, asset, event_count,
    gross::numeric, fee::numeric, network::numeric, distributed::numeric, carried::numeric
from unnest(
    $2::date[], $3::text[], $4::text[], $5::text[], $6::bigint[],
    $7::text[], $8::text[], $9::text[], $10::text[], $11::text[]
) as given (origin_day, kind, work, asset, event_count, gross, fee, network, distributed, carried)
