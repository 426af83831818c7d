-- The trigger whose look is due longest. Another look at the same folder may go on: look_lock.sql keeps them apart.
update schedule.trigger t set next_look = clock_timestamp() + t.every_ms * interval '1 millisecond'
where (t.pipeline, t.index) = (
    select c.pipeline, c.index from schedule.trigger c
    where c.next_look <= clock_timestamp()
    order by c.next_look limit 1 for update skip locked)
returning t.pipeline, t.index, t.definition, t.prefix as "prefix!", clock_timestamp() as "now!"
