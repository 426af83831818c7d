-- Stakes, exits and accruals take turns, so that a day is divided among a settled set of positions.
lock table treasury.staking_day in share row exclusive mode
