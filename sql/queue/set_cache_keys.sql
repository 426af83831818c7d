update queue.task t set cache_key = u.key
from unnest($3::integer[], $4::text[]) u (index, key)
where t.run_id = $1 and t.step = $2 and t.index = u.index
