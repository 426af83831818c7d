select batch.class, contribution.generator_id, batch.origin_day, batch.source, contribution.points
from treasury.contribution_batch batch
join treasury.contribution on contribution.source = batch.source
where batch.settled_day = $1 and contribution.generator_id = any($2::uuid[])
order by batch.source collate "C"
