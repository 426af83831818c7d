"""apalis-postgres, from crates.io.

The program is a crate of its own in `program/` beside this file, outside the workspace so that its dependencies are not
ours. It is called as the others are, `PROGRAM TASKS LIMIT_SECONDS PROCESSES` with an empty database in DATABASE_URL, and
prints the same line of JSON (`peers/drain.py`).
"""

from pathlib import Path

import children
from cache import INSTALL_SECONDS, Unavailable
from children import Failed
from drain import Drain

PROGRAM = Path(__file__).parent / "program"


class ApalisPostgres(Drain):
    name = "apalis-postgres"
    about = "four workers in one process, claims of 500, `lock_tasks` off, polling every 10 ms"
    # Workers, not processes: they share a runtime.
    processes = 4

    def prepare(self, cache, server, options):
        manifest = PROGRAM / "Cargo.toml"
        target = cache.root / "apalis_postgres"
        build = ["cargo", "build", "--release", "--locked", "--quiet", "--manifest-path", manifest]
        build += ["--target-dir", target]
        try:
            children.output(build, seconds=INSTALL_SECONDS)
        except Failed as failure:
            raise Unavailable(f"it cannot be built: {failure}") from None
        self._command = [target / "release/drain-apalis-postgres"]
        return {"apalis-postgres": locked_version(PROGRAM / "Cargo.lock", "apalis-postgres")}


def locked_version(lock, package):
    """The version of a package in a Cargo.lock."""
    lines = lock.read_text().splitlines()
    return lines[lines.index(f'name = "{package}"') + 1].split('"')[1]
