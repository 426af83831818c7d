select queue.break_deadlock() as broken
