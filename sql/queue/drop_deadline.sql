delete from queue.deadline d where d.run_id = $1
