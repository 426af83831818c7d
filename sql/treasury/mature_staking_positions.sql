update treasury.staking_position set state = 'matured' where state = 'open' and matures_day <= $1
