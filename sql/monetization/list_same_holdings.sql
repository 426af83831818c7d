select holding.work, holding.holder, holding.valid_from, holding.units::text as "units!"
from unnest($1::text[], $2::bytea[], $3::timestamptz[]) as given (work, holder, valid_from)
join monetization.holding using (work, holder, valid_from)
