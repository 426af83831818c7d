insert into treasury.epoch (day, state, ruleset, inputs_digest) values ($1, 'sealed', $2, $3)
