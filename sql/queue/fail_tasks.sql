select queue.fail($1, $2, $3, $4, $5) as "recorded!"
