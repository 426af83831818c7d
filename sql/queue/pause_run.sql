select queue.pause_run($1) as "paused!"
