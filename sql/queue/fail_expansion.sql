select queue.fail_expansion($1, $2, $3) as "won!"
