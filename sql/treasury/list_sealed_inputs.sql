select class, generator_id, origin_day, owner, points
from treasury.sealed_input
where day = $1
order by class collate "C", generator_id, origin_day
