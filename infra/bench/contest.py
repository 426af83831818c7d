"""The contest: everyone once per round, in turn, so that a change of the machine's mood meets all alike."""

import statistics
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import machine
from cache import Unavailable
from children import Failed

FLAT = "flat"


@dataclass
class Options:
    """What a person asked for, as far as contestants need it."""

    tale: Path
    tasks: int
    shapes: list
    limit: float


@dataclass
class Outcome:
    """What one measurement gave."""

    shape: str
    tasks: int
    completed: int
    seconds: float
    # Figures that the program measured beside, by name.
    beside: dict = field(default_factory=dict)

    @property
    def rate(self):
        """Tasks per second; of one that was stopped at its limit, so far."""
        return self.completed / self.seconds if self.seconds else 0.0

    @property
    def is_whole(self):
        return self.completed >= self.tasks


class Contestant:
    """One system in one setting. Subclasses live in `peers/`, a directory each."""

    # As `--peers` and the tables have it.
    name = ""
    # The settings, for a reader.
    about = ""

    def prepare(self, cache, server, options):
        """Installs it; gives the versions of what is measured. Raises Unavailable with the reason."""
        raise NotImplementedError

    def run(self, server, options):
        """Measures once; yields outcomes."""
        raise NotImplementedError


def checked(shape, report):
    """The outcome that a drain program reports: all tasks ran exactly once, or those that are done by the limit."""
    tasks, completed, once = report["tasks"], report["completed"], report["once"]
    if report["repeated"]:
        raise Failed(f"{report['repeated']} of {tasks} tasks ran more than once")
    # What was stopped at its limit has run some whose end is not in the database yet.
    if once < completed or (completed == tasks and once != tasks):
        raise Failed(f"{completed} of {tasks} tasks are done in the database, and {once} of them ran")
    return Outcome(shape, tasks, completed, report["seconds"])


def prepare_all(contestants, cache, server, options):
    """Those that can be measured, with their versions; and the others, with the reasons."""
    ready, skipped = [], []
    for contestant in contestants:
        try:
            ready.append((contestant, contestant.prepare(cache, server, options)))
        except (Unavailable, Failed) as reason:
            say(f"skipping {contestant.name}: {reason}")
            skipped.append({"name": contestant.name, "reason": str(reason)})
    return ready, skipped


def hold(contestants, rounds, server, options):
    """All measurements, in order, as documents."""
    records = []
    for number in range(1, rounds + 1):
        for contestant in contestants:
            server.settle()
            record = {"round": number, "name": contestant.name, "load": machine.load()[0]}
            record["busy_before"] = machine.busy_share()
            say(f"round {number} of {rounds}: {contestant.name} (the machine is {record['busy_before']:.0%} busy)")
            try:
                for outcome in contestant.run(server, options):
                    say(f"  {outcome.shape}: {outcome.completed} of {outcome.tasks} in {outcome.seconds:.2f} s")
                    records.append(record | asdict(outcome) | {"rate": outcome.rate, "is_whole": outcome.is_whole})
            except Failed as failure:
                say(f"{contestant.name}: {failure}")
                records.append(record | {"failure": str(failure)})
    return records


def medians(records):
    """One document per contestant and shape, in the order of the first round."""
    groups = {}
    for record in records:
        if "failure" not in record:
            groups.setdefault((record["name"], record["shape"]), []).append(record)
    return [summary(name, shape, group) for (name, shape), group in groups.items()]


def summary(name, shape, group):
    rates = [record["rate"] for record in group]
    names = {key for record in group for key in record["beside"]}
    return {
        "name": name,
        "shape": shape,
        "tasks": group[0]["tasks"],
        "rounds": len(group),
        "is_whole": all(record["is_whole"] for record in group),
        "completed": min(record["completed"] for record in group),
        "tasks_per_second": statistics.median(rates),
        "tasks_per_second_lowest": min(rates),
        "tasks_per_second_highest": max(rates),
        "seconds": statistics.median(record["seconds"] for record in group),
        **{key: statistics.median(record["beside"][key] for record in group) for key in sorted(names)},
    }


def say(text):
    """What goes on, for whoever watches; the results alone go to standard output."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
