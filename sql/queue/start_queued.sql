select queue.start_queued($1) as "started!"
