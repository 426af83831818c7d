select queue.complete($1, $2, $3) as "won!"
