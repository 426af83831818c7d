select min(opened_day) from treasury.staking_position
