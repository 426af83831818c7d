select owner, points, amount::text as "amount!" from treasury.reward where day = $1 order by owner
