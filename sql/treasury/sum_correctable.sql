select
    coalesce((
        select compute_amount + training_amount + validation_amount
        from treasury.reward where day = $1 and owner = $2
    ), 0)::text as "paid!",
    coalesce((
        select sum(amount) from treasury.receivable where origin_day = $1 and owner = $2
    ), 0)::text as "corrected!"
