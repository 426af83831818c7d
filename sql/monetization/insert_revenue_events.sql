insert into monetization.revenue_event
    (event_id, day, occurred_at, kind, work, gross, asset, payer, content_digest)
select event_id, $1, occurred_at, kind, work, gross::numeric, asset, payer, content_digest
from unnest($2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bytea[])
    as given (event_id, occurred_at, kind, work, gross, asset, payer, content_digest)
