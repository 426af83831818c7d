select base_digest, evidence, memory, recorded_at
from validation.round
where lineage = $1 and round = $2
