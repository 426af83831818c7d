insert into validation.outcome
    (lineage, round, epoch, result_digest, rows, loss_before, loss_after, loss_drop, residual)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (lineage, round) do nothing
