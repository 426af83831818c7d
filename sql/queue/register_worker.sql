insert into queue.worker (id, pool, host, pid, slots) values ($1, $2, $3, $4, $5)
on conflict (id) do update set last_seen = clock_timestamp()
