select min(day) from monetization.dividend_epoch where day > $1
