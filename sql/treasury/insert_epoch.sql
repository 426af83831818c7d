insert into treasury.epoch (day, state, ruleset, ruleset_digest, inputs_digest) values ($1, 'sealed', $2, $3, $4)
