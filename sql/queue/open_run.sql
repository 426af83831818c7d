select queue.open_run($1)
