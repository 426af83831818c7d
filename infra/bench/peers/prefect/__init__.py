"""Prefect, from PyPI."""

import tempfile
from urllib.parse import parse_qs, urlsplit

import children
from flows import STEPS, FlowProgram, await_http, free_port

START_SECONDS = 120


class Prefect(FlowProgram):
    name = "prefect"
    about = "its server on the same PostgreSQL; the flow called in a running process, with its threads; no deployment"
    directory = "prefect"
    packages = ("prefect",)
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
                    return [self.flow(shape, options, environment) for shape in STEPS]


def asyncpg_address(url):
    """The address as SQLAlchemy with asyncpg wants it."""
    parts = urlsplit(url)
    if parts.netloc:
        return parts._replace(scheme="postgresql+asyncpg").geturl()
    where = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return f"postgresql+asyncpg://{where['user']}@{parts.path}?host={where['host']}&port={where['port']}"
