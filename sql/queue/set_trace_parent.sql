update queue.run r set trace_parent = $2 where r.id = $1
