-- What a trigger saw is forgotten with the trigger.
delete from schedule.seen_object where pipeline = $1 and prefix <> all ($2)
