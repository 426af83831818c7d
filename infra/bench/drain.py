"""Contestants that drain a queue of no-op tasks with a program of their own (`peers/drain.mjs`, `peers/drain.py`)."""

import json
import shutil
from pathlib import Path

import children
from contest import FLAT, Contestant, checked

PEERS = Path(__file__).parent / "peers"
# Beyond the limit for filling the queue, which is not measured, and for counting.
BESIDE_SECONDS = 300


class Drain(Contestant):
    """A peer with a directory in `peers/`, whose program is copied to where its packages are installed."""

    packages = ()
    # How many worker processes; found by trial where the peer's documentation gives no number.
    processes = 1
    variant = ""

    def __init__(self):
        self._command = None

    def run(self, server, options):
        arguments = [options.tasks, options.limit, self.processes]
        if self.variant:
            arguments.append(self.variant)
        with server.fresh_database(self.name) as url:
            environment = children.environment(DATABASE_URL=url)
            seconds = options.limit + BESIDE_SECONDS
            printed = children.output([*self._command, *arguments], env=environment, seconds=seconds)
        yield checked(FLAT, json.loads(printed.splitlines()[-1]))

    def _copy(self, place, *files):
        directory = place / "program"
        directory.mkdir(exist_ok=True)
        for file in files:
            shutil.copy(file, directory)
        return directory


class NodeDrain(Drain):
    """A peer from npm; `directory` holds its `peer.mjs`."""

    directory = ""

    def prepare(self, cache, server, options):
        place, node, versions = cache.node(self.directory, *self.packages)
        program = self._copy(place, PEERS / "drain.mjs", PEERS / self.directory / "peer.mjs")
        self._command = [node, program / "drain.mjs"]
        return {name: versions[name] for name in (self.packages[0], "node")}


class PythonDrain(Drain):
    """A peer from PyPI; `directory` holds its `peer.py`."""

    directory = ""

    def prepare(self, cache, server, options):
        place, versions = cache.python(self.directory, *self.packages)
        program = self._copy(place, PEERS / "drain.py", PEERS / self.directory / "peer.py")
        self._command = [place / "bin/python", program / "peer.py"]
        return {name: versions[name] for name in self.shown}
