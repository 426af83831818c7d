insert into queue.worker (id, pool, host, pid, slots, cpu_millis, memory_bytes, gpus, labels)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (id) do update set last_seen = clock_timestamp()
