"""The PostgreSQL that everybody is measured on: a temporary durable cluster of our own, or one that is given."""

import os
import pwd
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import children
from children import Failed

# As `tale` runs its embedded cluster (crates/database/src/server.rs), with more connections for Airflow.
SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_worker_processes": "4",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "max_wal_size": "1GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "logging_collector": "off",
}
OLDEST_MAJOR = 15
# Ends the server and removes its files however we end ourselves, SIGKILL included.
SUPERVISOR = Path(__file__).parents[2] / "crates/database/src/supervisor.sh"
# Settings without which a comparison of queues says nothing, or which a reader wants to know.
TELLING = ("fsync", "synchronous_commit", "full_page_writes", "wal_level", *SETTINGS)


class Server:
    """A PostgreSQL server by the address of its maintenance database."""

    def __init__(self, url, programs, place=None):
        self.url = url
        self.programs = programs
        # The directory of its files, where that is known.
        self.place = place

    def database_url(self, name):
        """The address of another database of this server."""
        # By hand: urllib's own joining loses the empty host of an address that names a socket.
        parts = urlsplit(self.url)
        query = f"?{parts.query}" if parts.query else ""
        return f"{parts.scheme}://{parts.netloc}/{name}{query}"

    def query(self, sql, url=None):
        """What a statement gives, as text without headings; columns are separated by `|`."""
        command = [self.programs / "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", url or self.url]
        return children.output(command, stdin=sql, seconds=300).strip()

    @contextmanager
    def fresh_database(self, label):
        """The address of a new database, which is dropped after the block."""
        name = f"bench_{re.sub('[^a-z0-9]+', '_', label)}_{secrets.token_hex(4)}"
        self.query(f'create database "{name}" template template0 encoding \'UTF8\'')
        try:
            yield self.database_url(name)
        finally:
            self.query(f'drop database if exists "{name}" with (force)')

    def settle(self):
        """Writes out what the run before has left, so that the next one does not pay for it."""
        self.query("checkpoint")

    def describe(self):
        """Its version and settings."""
        settings = {name: self.query(f"show {name}") for name in TELLING}
        return {"version": self.query("show server_version"), "settings": settings}


def given(url):
    """The server behind an address that a person gave; its databases are left alone."""
    parts = urlsplit(url)
    if not parts.scheme.startswith("postgres"):
        raise Failed(f"{url!r} is not the address of a PostgreSQL server: expected postgres://…")
    server = Server(url, find_programs())
    server.query("select 1")
    return server


@contextmanager
def temporary(root):
    """A new durable cluster in a directory below `root`, which goes with it."""
    programs = find_programs()
    user = server_user()
    home = Path(tempfile.mkdtemp(prefix="tale-bench-", dir=root))
    as_user = {}
    if user:
        os.chown(home, user.pw_uid, user.pw_gid)
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    try:
        with open(home / "server.log", "ab") as log:
            initialise(programs, home, log, as_user)
            yield from serve(programs, home, log, as_user)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def initialise(programs, home, log, as_user):
    # Trust is safe: the socket lies in a directory that only the server's user can enter, and there is no TCP.
    fixed = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions"]
    command = [programs / "initdb", "-D", home / "data", *fixed]
    with children.started(command, out=log, cwd="/", **as_user) as child:
        if child.wait(timeout=120) != 0:
            raise Failed(f"initdb failed: {tail(home)}")


def serve(programs, home, log, as_user):
    settings = SETTINGS | {"listen_addresses": "", "port": "5432", "unix_socket_directories": str(home)}
    server = [programs / "postgres", "-D", home / "data"]
    for name, value in settings.items():
        server += ["-c", f"{name}={value}"]
    # The supervisor's arguments: the signal at the end, a socket directory to remove, and what else to remove.
    command = ["/bin/sh", "-c", SUPERVISOR.read_text(), "bench-supervisor", "QUIT", "", home, *server]
    child = subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        cwd="/",
        env=children.environment(LC_ALL="C.UTF-8"),
        start_new_session=True,
        **as_user,
    )
    try:
        url = f"postgres:///postgres?host={quote(str(home), safe='/')}&port=5432&user=postgres"
        server = Server(url, programs, home)
        await_answer(server, child, home)
        yield server
    finally:
        # The pipe's end is the order to stop.
        child.stdin.close()
        child.wait()


def await_answer(server, child, home):
    deadline = time.monotonic() + 60
    while True:
        try:
            server.query("select 1")
            return
        except Failed:
            if child.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"PostgreSQL does not start: {tail(home)}") from None
            time.sleep(0.05)


def tail(home):
    with open(home / "server.log", "rb") as log:
        return children.last_words(log)


def server_user():
    """Whom the server runs as, where we are root, which PostgreSQL refuses; None for ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Failed("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")


def find_programs():
    """The directory of PostgreSQL's programs, looked for where `tale` looks (crates/database/src/binaries.rs)."""
    searched = []
    for directory in places():
        searched.append(str(directory))
        if (directory / "initdb").is_file() and (directory / "psql").is_file() and major(directory) >= OLDEST_MAJOR:
            return directory
    raise Failed(f"no PostgreSQL programs, version {OLDEST_MAJOR} or later, in {', '.join(searched)}")


def places():
    if os.environ.get("TALE_POSTGRES_BIN"):
        yield Path(os.environ["TALE_POSTGRES_BIN"])
    try:
        yield Path(children.output(["pg_config", "--bindir"]).strip())
    except Failed:
        pass
    majors = [path for path in Path("/usr/lib/postgresql").glob("*") if path.name.isdigit()]
    yield from (path / "bin" for path in sorted(majors, key=lambda path: -int(path.name)))
    data_home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    yield Path(data_home) / "taleworks/tools/postgres/bin"
    yield Path("/var/lib/taleworks/tools/postgres/bin")


def major(directory):
    try:
        found = re.search(r"(\d+)", children.output([directory / "postgres", "--version"]))
    except Failed:
        return 0
    return int(found.group(1)) if found else 0
