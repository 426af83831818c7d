"""PgQueuer under `drain.py`."""

import asyncio

import asyncpg
import uvloop
from pgqueuer import PgQueuer, Queries
from pgqueuer.db import AsyncpgDriver

import drain

# Its tools/benchmark.py drains with five managers, each on a connection of its own; its performance guide says to raise
# the batch size (10) for short tasks.
MANAGERS = 5
BATCH = 100
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
