select queue.park_paused() as "parked!"
