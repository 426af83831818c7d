insert into treasury.epoch_class (day, class, pool, cap, weight, capped, paid, carried)
select $1, class, pool::numeric, cap::numeric, weight::numeric, capped, paid::numeric, carried::numeric
from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[])
    as given (class, pool, cap, weight, capped, paid, carried)
