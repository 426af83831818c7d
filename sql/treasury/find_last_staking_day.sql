select max(day) from treasury.staking_day
