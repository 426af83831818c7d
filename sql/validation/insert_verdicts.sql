insert into validation.verdict (lineage, round, generator, outcome, reason, details)
select $1, $2, given.generator, given.outcome, given.reason, given.details
from unnest($3::uuid[], $4::text[], $5::text[], $6::jsonb[]) as given (generator, outcome, reason, details)
