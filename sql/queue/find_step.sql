select s.index from queue.step s where s.run_id = $1 and s.name = $2
