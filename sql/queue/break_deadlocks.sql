select queue.break_deadlocks() as "broken!"
