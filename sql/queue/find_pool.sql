select id from queue.pool where name = $1
