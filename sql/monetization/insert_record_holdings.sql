insert into monetization.record_holding (day, record_day, work, holder, units)
select $1, record_day, work, holder, units::numeric
from unnest($2::date[], $3::text[], $4::bytea[], $5::text[]) as given (record_day, work, holder, units)
