select t.run_id, t.step from queue.task t where t.id = $1
