select r.trace_parent from queue.run r where r.id = $1
