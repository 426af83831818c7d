-- The first ended run that no other scheduler deals with; its row is gone when what it starts has started.
delete from schedule.ended_run
where id = (select e.id from schedule.ended_run e order by e.id limit 1 for update skip locked)
returning run_id, pipeline, state
