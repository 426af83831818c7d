"""PgQueuer, from PyPI."""

from drain import PythonDrain


class PgQueuer(PythonDrain):
    name = "pgqueuer"
    about = "three managers with a connection each on uvloop and asyncpg, batches of 300, its autovacuum settings, durable"
    directory = "pgqueuer"
    packages = ("pgqueuer[asyncpg]", "uvloop")
    shown = ("pgqueuer", "asyncpg")
