delete from queue.cached_result c
where c.pipeline = $1 and ($2::text is null or c.step = $2)
  and ($3::double precision is null or c.created_at < clock_timestamp() - $3 * interval '1 second')
