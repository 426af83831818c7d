select manifest from treasury.epoch where day = $1
