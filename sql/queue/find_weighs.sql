select p.weighs from queue.pool p where p.id = $1
