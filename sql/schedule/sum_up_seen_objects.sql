-- How many objects are known, and why the latest of those that could not start a run could not.
select count(*) as "count!", (array_agg(error order by seen_at desc) filter (where error is not null))[1] as error
from schedule.seen_object where pipeline = $1 and prefix = $2
