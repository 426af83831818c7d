select count(*) as "count!" from schedule.seen_object where pipeline = $1 and prefix = $2
