select epoch, result_digest, rows, loss_before, loss_after, loss_drop, residual
from validation.outcome
where lineage = $1 and round = $2
