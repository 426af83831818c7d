-- What a trigger saw is forgotten with the trigger; and so are objects whose run could not start: another version may.
delete from schedule.seen_object where pipeline = $1 and (prefix <> all ($2) or error is not null)
