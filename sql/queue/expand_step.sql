select queue.expand_step($1, $2, $3, $4, $5, $6) as "won!"
