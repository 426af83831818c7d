insert into treasury.vesting_release (pool, number, ruleset, due_day, amount, journal_id)
values ($1, $2, $3, $4, $5::text::numeric, $6)
