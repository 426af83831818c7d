select pool, number, due_day, amount::text as "amount!" from treasury.vesting_release order by pool, number
