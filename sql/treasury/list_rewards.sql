select owner, compute_points, compute_amount::text as "compute_amount!", points,
    training_amount::text as "training_amount!", validation_points,
    validation_amount::text as "validation_amount!",
    (compute_amount + training_amount + validation_amount)::text as "gross!", repaid::text as "repaid!",
    amount::text as "amount!"
from treasury.reward
where day = $1
order by owner
