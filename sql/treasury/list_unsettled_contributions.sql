-- The left join keeps a batch in which nobody earned anything, so that it too is settled.
select batch.source, contribution.generator_id as "generator_id?", contribution.points as "points?"
from treasury.contribution_batch batch
left join treasury.contribution on contribution.source = batch.source
where batch.settled_day is null and batch.origin_day <= $1
order by batch.source, contribution.generator_id
