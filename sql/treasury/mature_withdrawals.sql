update treasury.withdrawal set state = 'matured' where state = 'requested' and matures_day <= $1
