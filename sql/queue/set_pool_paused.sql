update queue.pool set is_paused = $2 where id = $1 and is_paused <> $2
