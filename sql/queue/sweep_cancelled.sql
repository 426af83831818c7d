select queue.sweep_cancelled() as "swept!"
