select record_day, work, holder, units::text as "units!"
from monetization.record_holding
where day = $1
