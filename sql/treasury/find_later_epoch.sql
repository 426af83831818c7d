select min(day) from treasury.epoch where day > $1
