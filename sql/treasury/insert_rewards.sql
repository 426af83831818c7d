insert into treasury.reward (
    day, owner, compute_points, compute_amount, points, training_amount, validation_points, validation_amount,
    repaid, amount
)
select $1, owner, compute_points, compute_amount::numeric, points, training_amount::numeric, validation_points,
    validation_amount::numeric, repaid::numeric, amount::numeric
from unnest(
    $2::bytea[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::bigint[], $8::text[], $9::text[], $10::text[]
) as given (
    owner, compute_points, compute_amount, points, training_amount, validation_points, validation_amount, repaid,
    amount
)
