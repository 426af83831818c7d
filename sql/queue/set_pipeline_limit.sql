update queue.pipeline set runs_max = $2 where name = $1 and runs_max is distinct from $2
