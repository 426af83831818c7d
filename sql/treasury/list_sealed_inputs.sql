select generator_id, owner, points from treasury.sealed_input where day = $1 order by generator_id
