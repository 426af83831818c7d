-- A file that was read by an epoch that counted its latest event has nothing for another one, as long as it is the same.
select distinct path, version
from monetization.revenue_file
where path = any($1) and (last_day is null or last_day <= day)
