select coalesce(sum(principal), 0)::text as "total!"
from treasury.staking_position
where state = 'open' and opened_day < $1
