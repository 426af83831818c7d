"""Prefect, from PyPI."""

import tempfile
import time
from urllib.parse import parse_qs, urlsplit

import children
from children import Failed
from flows import STEPS, FlowProgram, await_http, free_port

START_SECONDS = 120
RECORD_SECONDS = 60


class Prefect(FlowProgram):
    name = "prefect"
    about = "its server on the same PostgreSQL; the flow called in a running process, with its threads; no deployment"
    directory = "prefect"
    # As Prefect 3.9 demands it; 3.8 does not, and fails with later ones.
    packages = ("prefect", "fastapi<0.151")
    shown = ("prefect",)

    def run(self, server, options):
        with server.fresh_database(self.name) as url, tempfile.TemporaryDirectory(prefix="tale-bench-prefect-") as home:
            port = free_port()
            environment = children.environment(
                PREFECT_HOME=home,
                PREFECT_PROFILES_PATH=f"{home}/profiles.toml",
                PREFECT_API_URL=f"http://127.0.0.1:{port}/api",
                PREFECT_API_DATABASE_CONNECTION_URL=asyncpg_address(url),
                PREFECT_SERVER_ANALYTICS_ENABLED="false",
                PREFECT_LOGGING_LEVEL="WARNING",
                DO_NOT_TRACK="1",
            )
            command = [self._place / "bin/prefect", "server", "start", "--host", "127.0.0.1", "--port", port]
            with open(f"{home}/server.log", "w+b") as log:
                with children.started(command, out=log, env=environment) as child:
                    await_http(f"http://127.0.0.1:{port}/api/health", child, log, START_SECONDS)
                    outcomes = [self.flow(shape, options, environment) for shape in STEPS]
                    check_record(server, url, outcomes)
                    yield from outcomes


def check_record(server, url, outcomes):
    """The server records steps a while after they have ended, which is not measured; but all of them it must."""
    expected = sum(outcome.completed for outcome in outcomes)
    query = "select count(*) from task_run where state_type = 'COMPLETED'"
    deadline = time.monotonic() + RECORD_SECONDS
    while (recorded := int(server.query(query, url))) < expected:
        if time.monotonic() > deadline:
            raise Failed(f"{expected} steps ended, and the server recorded {recorded}")
        time.sleep(0.5)


def asyncpg_address(url):
    """The address as SQLAlchemy with asyncpg wants it."""
    parts = urlsplit(url)
    if parts.netloc:
        return parts._replace(scheme="postgresql+asyncpg").geturl()
    where = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return f"postgresql+asyncpg://{where['user']}@{parts.path}?host={where['host']}&port={where['port']}"
