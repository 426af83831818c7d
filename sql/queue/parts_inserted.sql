-- How many tasks of a fan-out have been inserted, from index 0 on without a gap.
select s.tasks_total from queue.step s where s.run_id = $1 and s.index = $2
