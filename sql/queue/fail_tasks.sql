select queue.fail_attempts($1, $2, $3, $4, $5, $6) as "recorded!"
