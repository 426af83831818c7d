insert into queue.pool (name) select distinct u.name from unnest($1::text[]) u (name)
on conflict (name) do nothing
