select queue.ensure_lane($1, $2, $3, $4, $5) as "name!"
