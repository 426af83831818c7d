-- Points per class, generator and day of origin, of every batch that no epoch has counted.
select batch.class, contribution.generator_id, batch.origin_day, sum(contribution.points)::bigint as "points!"
from treasury.contribution_batch batch
join treasury.contribution on contribution.source = batch.source
where batch.settled_day is null and batch.origin_day <= $1 and batch.class = any($2::text[])
group by batch.class, contribution.generator_id, batch.origin_day
