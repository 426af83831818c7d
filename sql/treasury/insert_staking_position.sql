insert into treasury.staking_position (key, owner, state, ruleset, term_days, rate_ppm, principal, opened_day)
values ($1, $2, 'open', $3, $4, $5, $6::text::numeric, $7)
returning id
