select queue.stop_overdue() as "stopped!"
