delete from queue.retention r where r.pipeline = $1
