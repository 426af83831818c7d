select details
from validation.verdict
where lineage = $1 and round = $2
order by generator
