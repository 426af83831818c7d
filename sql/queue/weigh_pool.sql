update queue.pool p set weighs = true where p.id = $1 and not p.weighs
