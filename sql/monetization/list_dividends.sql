select origin_day, kind, work, asset, holder, units::text as "units!", amount::text as "amount!"
from monetization.dividend
where day = $1
