"""Drains a queue that was filled before, and says how long it took; the Python twin of `drain.mjs`.

A peer's program calls `main(peer)` with a module that has

    async prepare(url, tasks)       makes the schema and queues tasks with the ids 0 … tasks - 1
    async work(url, ran)            begins to work; calls ran(id) when a task's code runs
    UNFINISHED                      a query for how many tasks the database does not say to be done
    loop()                          an event loop of the kind that the peer recommends

and `connect(url)`, which gives an asynchronous function from a query to its one number.
"""

import asyncio
import json
import multiprocessing
import os
import sys
import time

POLL_SECONDS = 0.002


def main(peer):
    tasks, limit, processes = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    url = os.environ["DATABASE_URL"]
    with asyncio.Runner(loop_factory=peer.loop) as runner:
        runner.run(peer.prepare(url, tasks))
        print(json.dumps(runner.run(measure(peer, url, tasks, limit, processes))))


async def measure(peer, url, tasks, limit, processes):
    ask = await peer.connect(url)
    await ask("vacuum analyze")
    await ask("checkpoint")
    context = multiprocessing.get_context("spawn")
    begin_now = context.Event()
    workers = [Worker(context, peer, url, tasks, begin_now) for _ in range(processes)]
    while not all(worker.is_ready.is_set() for worker in workers):
        await asyncio.sleep(POLL_SECONDS)
        check_alive(workers)

    begin = time.perf_counter()
    begin_now.set()
    left = tasks
    while left > 0 and time.perf_counter() - begin < limit:
        await asyncio.sleep(POLL_SECONDS)
        check_alive(workers)
        # Asking the database costs it something: only when every task has begun.
        if sum(worker.ran.value for worker in workers) >= tasks:
            left = await ask(peer.UNFINISHED)
    seconds = time.perf_counter() - begin
    if left > 0:
        left = await ask(peer.UNFINISHED)
    for worker in workers:
        worker.process.kill()
    seen = [sum(times) for times in zip(*(worker.seen for worker in workers))]
    return {
        "tasks": tasks,
        "completed": tasks - left,
        "once": sum(times == 1 for times in seen),
        "repeated": sum(times > 1 for times in seen),
        "seconds": seconds,
    }


def check_alive(workers):
    for worker in workers:
        if worker.process.exitcode is not None:
            sys.exit(f"a worker ended with {worker.process.exitcode}")


class Worker:
    """A process that works, and the memory through which it says what it has done."""

    def __init__(self, context, peer, url, tasks, begin_now):
        self.ran = context.Value("q", 0, lock=False)
        self.seen = context.Array("B", tasks, lock=False)
        self.is_ready = context.Event()
        arguments = (peer.__spec__.name if peer.__spec__ else peer.__name__, url, self.ran, self.seen)
        self.process = context.Process(target=serve, args=(*arguments, self.is_ready, begin_now), daemon=True)
        self.process.start()


def serve(module, url, ran, seen, is_ready, begin_now):
    peer = __import__(module)

    def count(task):
        seen[task] += 1
        ran.value += 1

    is_ready.set()
    begin_now.wait()
    with asyncio.Runner(loop_factory=peer.loop) as runner:
        runner.run(peer.work(url, count))
