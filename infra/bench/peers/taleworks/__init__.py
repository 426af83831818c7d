"""Ours: `tale bench queue` for tasks, and `tale up` with `tale run` for whole flows."""

import json
import tempfile
import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import children
from cache import Unavailable
from children import Failed
from contest import Contestant, Outcome
from flows import STEPS

HERE = Path(__file__).parent
START_SECONDS = 60


class Queue(Contestant):
    name = "taleworks"
    about = "`tale bench queue`: the planner, the queue, an apalis worker and its acknowledgements"

    def prepare(self, cache, server, options):
        version = tale_version(options.tale)
        help_text = children.output([options.tale, "--help"])
        if "\n  bench " not in help_text:
            raise Unavailable(f"{options.tale} has no command `bench`")
        return version

    def run(self, server, options):
        for shape in options.shapes:
            yield self._measure(shape, server, options)

    def _measure(self, shape, server, options):
        arguments = ["bench", "queue", "--tasks", options.tasks, "--shape", shape, "--output", "json"]
        with server.fresh_database(f"{self.name} {shape}") as url, data_directory() as directory:
            command = [options.tale, *arguments, "--data-dir", directory]
            # It fills its queue, drains it, and measures raw SQL beside: three parts, each within the limit.
            printed = children.output(command, env=children.environment(DATABASE_URL=url), seconds=3 * options.limit)
        report = json.loads(printed)
        if report["shape"] != shape:
            raise Failed(f"asked for {shape}, `tale bench queue` measured {report['shape']}")
        beside = {"raw_sql_per_second": report["raw_sql_per_second"], "ratio_to_raw_sql": report["ratio"]}
        # The planner may need a few tasks more than asked for to close the shape.
        return Outcome(shape, report["tasks"], report["tasks"], report["seconds"], beside)


class Flows(Contestant):
    name = "taleworks-flows"
    about = "`tale up` with its worker; each run by `tale run`, from its recorded creation to its recorded end"

    def prepare(self, cache, server, options):
        return tale_version(options.tale)

    def run(self, server, options):
        with server.fresh_database(self.name) as url, data_directory() as directory:
            tale = Tale(options.tale, url, directory)
            with tale.up(HERE / "pipelines"):
                for shape in STEPS:
                    yield tale.flow(shape, options.limit)


class Tale:
    """The program, for one database and data directory."""

    def __init__(self, program, url, directory):
        self._program = program
        self._directory = directory
        self._environment = children.environment(DATABASE_URL=url, TALE_DATA_DIR=directory)

    @contextmanager
    def up(self, pipelines):
        """`tale up`, from the moment at which its worker is alive."""
        log = Path(self._directory) / "up.log"
        with open(log, "w+b") as out:
            command = [self._program, "up", "--pipelines", pipelines]
            with children.started(command, out=out, env=self._environment) as child:
                deadline = time.monotonic() + START_SECONDS
                while not self._has_workers():
                    if child.poll() is not None or time.monotonic() > deadline:
                        raise Failed(f"`tale up` does not start: {children.last_words(out)}")
                    time.sleep(0.2)
                yield

    def _has_workers(self):
        try:
            return bool(self._json("workers"))
        except Failed:
            return False

    def flow(self, shape, limit):
        """Runs one pipeline to its end, or up to the limit."""
        started = self._json("run", shape)["run"]
        deadline = time.monotonic() + limit
        # Waiting is a command of its own, so that one that is cut short still leaves the run's number.
        while True:
            report = self._json("show", started)
            if report["state"] != "running" or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        if report["state"] not in ("running", "succeeded"):
            raise Failed(f"the run of {shape} {report['state']}")
        begin = datetime.fromisoformat(report["created_at"])
        end = datetime.fromisoformat(report["finished_at"]) if report["finished_at"] else None
        seconds = (end - begin).total_seconds() if end else limit
        completed = sum(step["tasks_total"] - step["tasks_open"] for step in report["steps"])
        return Outcome(shape, STEPS[shape], completed, seconds)

    def _json(self, *arguments):
        command = [self._program, *arguments, "--output", "json"]
        return json.loads(children.output(command, env=self._environment))


def tale_version(program):
    if not program.is_file():
        raise Unavailable(f"there is no program {program}: `just build` makes it")
    return {"tale": children.output([program, "--version"]).split()[-1]}


def data_directory():
    return tempfile.TemporaryDirectory(prefix="tale-bench-data-", ignore_cleanup_errors=True)


CONTESTANTS = [Queue(), Flows()]
