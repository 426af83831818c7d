select count(*) filter (where state = 'open') as "positions!",
    coalesce(sum(principal) filter (where state = 'open'), 0)::text as "total_locked!",
    coalesce(sum(principal) filter (where state = 'open' and term_days is not null), 0)::text as "locked!",
    coalesce(sum(principal * term_days) filter (where state = 'open'), 0)::text as "locked_days!",
    coalesce(sum(principal) filter (where state = 'matured'), 0)::text as "matured!"
from treasury.staking_position
