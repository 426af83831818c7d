insert into monetization.holding (work, holder, valid_from, units)
select work, holder, valid_from, units::numeric
from unnest($1::text[], $2::bytea[], $3::timestamptz[], $4::text[]) as given (work, holder, valid_from, units)
on conflict (work, holder, valid_from) do nothing
