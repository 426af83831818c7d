insert into treasury.reward (day, owner, points, amount)
select $1, owner, points, amount::numeric
from unnest($2::bytea[], $3::bigint[], $4::text[]) as given (owner, points, amount)
