"""Measures the queue, whole flows and the settlement against peers, on one PostgreSQL: `just bench queue` (README.md)."""

import argparse
import contextlib
import json
import re
import shlex
import signal
import sys
from datetime import datetime, timezone
from pathlib import Path

sys.dont_write_bytecode = True

import contest
import machine
import report
import server as servers
import settlement
from cache import Cache
from children import Failed
from peers import LIMIT, OURS, PEERS

SHAPES = ("flat", "dag", "fan-in")
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def arguments():
    parser = argparse.ArgumentParser(prog="just bench", description=__doc__.split(":")[0] + ".")
    parser.add_argument("what", choices=["queue", "settlement"], help="what to measure")
    parser.add_argument("--tale", type=Path, required=True, help="the program `tale`, built for release")
    names = ", ".join(peer.name for peer in PEERS)
    parser.add_argument("--peers", default="all", metavar="NAMES", help=f"all, none, or some of: {names}")
    parser.add_argument("--tasks", type=positive, default=50_000, metavar="N", help="flat tasks (50000)")
    parser.add_argument("--rounds", type=positive, default=3, metavar="N", help="rounds (3)")
    parser.add_argument("--shapes", type=shapes, default=list(SHAPES), help="of ours: flat,dag,fan-in")
    parser.add_argument("--limit", type=float, default=120, metavar="SECONDS", help="for one measurement (120)")
    parser.add_argument("--accounts", type=positive, default=1_000_000, metavar="N", help="settlement: accounts (1000000)")
    parser.add_argument("--js-accounts", type=positive, default=100_000, metavar="N", help="settlement: leaves in JavaScript (100000)")
    parser.add_argument("--seconds", type=positive, default=20, metavar="N", help="settlement: of single transfers (20)")
    parser.add_argument("--database-url", metavar="URL", help="a PostgreSQL to use instead of a temporary one")
    parser.add_argument("--cluster-in", default="/var/tmp", metavar="DIR", help="where the temporary one is made (/var/tmp)")
    parser.add_argument("--cached", action="store_true", help="peers as they are in the cache; no look for newer ones")
    parser.add_argument("--output", choices=["table", "json"], default="table", help="Markdown, or one JSON document")
    return parser.parse_args()


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("expected at least 1")
    return number


def shapes(text):
    chosen = text.split(",")
    unknown = [shape for shape in chosen if shape not in SHAPES]
    if unknown:
        raise argparse.ArgumentTypeError(f"no shape {unknown[0]!r}: there are {', '.join(SHAPES)}")
    return chosen


def choose(text):
    """The contestants of `--peers`; ours and raw SQL always."""
    if text == "all":
        return OURS + LIMIT + PEERS
    wanted = [] if text == "none" else [name.strip() for name in text.split(",")]
    known = {peer.name: peer for peer in PEERS}
    for name in wanted:
        if name not in known:
            raise Failed(f"no peer {name!r}: there are {', '.join(known)}")
    return OURS + LIMIT + [known[name] for name in wanted]


@contextlib.contextmanager
def postgres(options):
    if options.database_url:
        yield servers.given(options.database_url), "given"
    else:
        with servers.temporary(options.cluster_in) as server:
            yield server, "a temporary cluster with the embedded one's settings"


def command():
    """What was typed; `--tale` is the recipe's."""
    words = sys.argv[1:]
    if "--tale" in words:
        place = words.index("--tale")
        del words[place : place + 2]
    # A password has no place in a report.
    return re.sub(r"(://[^:@/?]*):[^@/?]*@", r"\1:…@", shlex.join(["just", "bench", *words]))


def measure_settlement(options):
    began = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    load = machine.load()
    with postgres(options) as (server, kind):
        return {
            "command": command(),
            "began": began,
            "settlement": settlement.measure(options, Cache(refresh=not options.cached), server),
            "load_at_begin": load,
            "load_at_end": machine.load(),
            "machine": machine.describe(server.place),
            "server": {"kind": kind, **server.describe()},
        }


def measure(options):
    contestants = choose(options.peers)
    began = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    load = machine.load()
    asked = contest.Options(options.tale.resolve(), options.tasks, options.shapes, options.limit)
    with postgres(options) as (server, kind):
        ready, skipped = contest.prepare_all(contestants, Cache(refresh=not options.cached), server, asked)
        records = contest.hold([one for one, _ in ready], options.rounds, server, asked)
        results = contest.medians(records)
        return {
            "command": command(),
            "began": began,
            "rounds": options.rounds,
            "load_at_begin": load,
            "load_at_end": machine.load(),
            "machine": machine.describe(server.place),
            "server": {"kind": kind, **server.describe()},
            "participants": [{"name": one.name, "about": one.about, "versions": versions} for one, versions in ready],
            "skipped": skipped,
            "results": results,
            "ratios": report.compare(results),
            "records": records,
        }


def interrupt(*_):
    """Ends everything that was started; a second signal must not keep it from that."""
    for number in ENDINGS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main():
    for number in ENDINGS:
        signal.signal(number, interrupt)
    options = arguments()
    is_settlement = options.what == "settlement"
    try:
        document = measure_settlement(options) if is_settlement else measure(options)
    except Failed as failure:
        print(f"bench: {failure}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("bench: interrupted; everything that was started is ended", file=sys.stderr)
        sys.exit(130)
    write = settlement.markdown if is_settlement else report.markdown
    print(json.dumps(document, indent=2) if options.output == "json" else write(document))
    if is_settlement:
        sys.exit(1 if document["settlement"]["skipped"] else 0)
    ours = {one.name for one in OURS}
    is_missing = any(one["name"] in ours for one in document["skipped"])
    has_failed = any("failure" in record for record in document["records"])
    sys.exit(1 if is_missing or has_failed else 0)


if __name__ == "__main__":
    main()
