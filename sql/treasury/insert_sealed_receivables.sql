insert into treasury.sealed_receivable (day, correction, owner, origin_day, outstanding)
select $1, correction, owner, origin_day, outstanding::numeric
from unnest($2::text[], $3::bytea[], $4::date[], $5::text[]) as given (correction, owner, origin_day, outstanding)
