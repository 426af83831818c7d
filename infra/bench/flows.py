"""Whole flows: their shapes, and contestants that run them with a program of their own."""

import json
import shutil
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import children
from children import Failed
from contest import Contestant, Outcome

# A shape and how many steps it has: 40 in a row, and 1 → 100 → 1.
STEPS = {"sequence": 40, "fan-out": 102}
PEERS = Path(__file__).parent / "peers"
# Beyond the limit, for loading and for ending.
BESIDE_SECONDS = 120


class FlowProgram(Contestant):
    """A peer whose `flows.py` runs one flow in its own process: `flows.py SHAPE LIMIT [VARIANT]` (`peers/flow.py`)."""

    directory = ""
    packages = ()
    shown = ()

    def prepare(self, cache, server, options):
        self._place, versions = cache.python(self.directory, *self.packages)
        self._program = self._place / "program"
        self._program.mkdir(exist_ok=True)
        for file in (PEERS / "flow.py", PEERS / self.directory / "flows.py"):
            shutil.copy(file, self._program)
        return {name: versions[name] for name in self.shown}

    def flow(self, shape, options, environment, *more):
        """One flow, in a process of its own."""
        command = [self._place / "bin/python", self._program / "flows.py", shape, options.limit, *more]
        printed = children.output(command, env=environment, seconds=options.limit + BESIDE_SECONDS)
        report = json.loads(printed.splitlines()[-1])
        if report["problem"]:
            raise Failed(f"{shape}: {report['problem']}")
        return Outcome(shape, STEPS[shape], report["completed"], report["seconds"])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def await_http(url, child, log, seconds):
    """Waits until a server answers, while it lives."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            if child.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"no answer from {url}: {children.last_words(log)}") from None
            time.sleep(0.2)
