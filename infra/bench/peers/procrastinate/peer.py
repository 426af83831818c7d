"""procrastinate under `drain.py`."""

import asyncio

import procrastinate
import psycopg

import drain

# https://procrastinate.readthedocs.io/en/stable/howto/production/concurrency.html: asynchronous tasks run side by side
# in one worker, on a pool with a connection for each.
CONCURRENCY = 10
UNFINISHED = "select count(*) from procrastinate_jobs where status <> 'succeeded'"

loop = asyncio.new_event_loop


async def connect(url):
    connection = await psycopg.AsyncConnection.connect(url, autocommit=True)

    async def ask(query):
        cursor = await connection.execute(query)
        return (await cursor.fetchone())[0] if cursor.description else None

    return ask


def application(url, ran):
    connector = procrastinate.PsycopgConnector(conninfo=url, min_size=CONCURRENCY, max_size=CONCURRENCY + 2)
    app = procrastinate.App(connector=connector)

    @app.task(name="noop")
    async def noop(task):
        ran(task)

    return app, noop


async def prepare(url, tasks):
    app, noop = application(url, None)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for first in range(0, tasks, 5000):
            await noop.batch_defer_async(*({"task": task} for task in range(first, min(first + 5000, tasks))))


async def work(url, ran):
    app, _ = application(url, ran)
    async with app.open_async():
        await app.run_worker_async(concurrency=CONCURRENCY, install_signal_handlers=False)


if __name__ == "__main__":
    import peer

    drain.main(peer)
