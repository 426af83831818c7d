delete from queue.worker where id = $1
