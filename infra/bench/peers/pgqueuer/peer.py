"""PgQueuer under `drain.py`."""

import asyncio

import asyncpg
import uvloop
from pgqueuer import PgQueuer, Queries
from pgqueuer.db import AsyncpgDriver

import drain

# Its tools/benchmark.py drains with several managers, each on a connection of its own, and its performance guide says to
# raise the batch size (10) for short tasks: these were the quickest of 1 to 5 managers with 10 to 1000 on two cores.
MANAGERS = 3
BATCH = 300
UNFINISHED = "select count(*) from pgqueuer"

loop = uvloop.new_event_loop


async def connect(url):
    return (await asyncpg.connect(url)).fetchval


async def prepare(url, tasks):
    connection = await asyncpg.connect(url)
    queries = Queries(AsyncpgDriver(connection))
    await queries.install()
    # `pgq autovac`, first on the checklist of its performance guide.
    await queries.optimize_autovacuum()
    for first in range(0, tasks, 5000):
        ids = range(first, min(first + 5000, tasks))
        await queries.enqueue(["noop"] * len(ids), [b"%d" % task for task in ids], [0] * len(ids))
    await connection.close()


async def work(url, ran):
    async def manage():
        queue = PgQueuer(AsyncpgDriver(await asyncpg.connect(url)))

        @queue.entrypoint("noop")
        async def noop(job):
            ran(int(job.payload))

        await queue.run(batch_size=BATCH)

    await asyncio.gather(*(manage() for _ in range(MANAGERS)))


if __name__ == "__main__":
    import peer

    drain.main(peer)
