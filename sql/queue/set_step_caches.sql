update queue.step s set caches = true, cache_ttl_ms = u.ttl_ms
from unnest($2::smallint[], $3::bigint[]) u (index, ttl_ms)
where s.run_id = $1 and s.index = u.index
