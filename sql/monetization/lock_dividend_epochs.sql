-- Days are divided one after another, so that no day slips in before one that is divided.
lock table monetization.dividend_epoch in share row exclusive mode
