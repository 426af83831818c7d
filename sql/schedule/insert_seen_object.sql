-- Nothing where the object has its run, or where the trigger is there no more.
insert into schedule.seen_object (pipeline, prefix, path, version, run_id)
select $1, $2, $3, $4, $5
where exists (select from schedule.trigger t where t.pipeline = $1 and t.prefix = $2)
on conflict do nothing
returning true as "taken!"
