insert into monetization.dividend (day, origin_day, kind, work, asset, holder, units, amount)
select $1, origin_day, kind, work, asset, holder, units::numeric, amount::numeric
from unnest($2::date[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[], $8::text[])
    as given (origin_day, kind, work, asset, holder, units, amount)
