-- Days are sealed one after another, so that no day slips in before one that is sealed.
lock table treasury.epoch in share row exclusive mode
