"""Measures one flow in this process, up to a limit: what the programs `flows.py` of several peers share."""

import json
import os
import threading
import time

STEPS = {"sequence": 40, "fan-out": 102}


def measure(shape, limit, run, completed):
    """Calls run(), which ends with the flow; completed() says how many steps have ended well so far."""
    begin = time.perf_counter()

    def report(problem=None):
        seconds = time.perf_counter() - begin
        done = completed()
        if problem is None and seconds < limit and done != STEPS[shape]:
            problem = f"{done} of {STEPS[shape]} steps ended well"
        print(json.dumps({"completed": done, "seconds": seconds, "problem": problem}), flush=True)

    def stop():
        report()
        os._exit(0)

    timer = threading.Timer(limit, stop)
    timer.daemon = True
    timer.start()
    try:
        run()
    except Exception as error:
        report(f"{type(error).__name__}: {error}")
        os._exit(0)
    timer.cancel()
    report()


class Counter:
    """Counts steps from any thread."""

    def __init__(self):
        self._lock = threading.Lock()
        self._count = 0

    def add(self):
        with self._lock:
            self._count += 1

    def __call__(self):
        return self._count
