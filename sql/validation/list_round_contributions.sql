select generator, points
from validation.contribution
where lineage = $1 and round = $2
order by generator
