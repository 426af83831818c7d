select id, key, owner, state, ruleset, term_days, rate_ppm, principal::text as "principal!",
    (select coalesce(sum(amount), 0) from treasury.staking_accrual where position_id = id)::text as "accrued!",
    opened_day, matures_day, ended_day, returned::text, penalty::text, forfeited::text, journal_id, opened_at
from treasury.staking_position
where ($1::bytea is null or owner = $1) and ($2::text is null or state = $2)
order by id
