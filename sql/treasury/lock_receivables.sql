lock table treasury.receivable in share row exclusive mode
