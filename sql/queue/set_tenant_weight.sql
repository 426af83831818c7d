insert into queue.tenant (name, weight) values ($1, $2)
on conflict (name) do update set weight = excluded.weight
