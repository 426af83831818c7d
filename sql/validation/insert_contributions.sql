insert into validation.contribution (lineage, round, generator, points)
select $1, $2, given.generator, given.points
from unnest($3::uuid[], $4::bigint[]) as given (generator, points)
