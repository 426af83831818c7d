update queue.pool set leases_max = $2 where id = $1
