select queue.retry_run($1, $2, $3) as "steps!"
