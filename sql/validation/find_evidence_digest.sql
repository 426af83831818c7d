select evidence_digest
from validation.round
where lineage = $1 and round = $2
