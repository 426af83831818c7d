"""Holds OpenLineage events against the classes of the reference client.

    python3 infra/check-openlineage.py [FILE …]

Each line of a file is an event; without files, the events that the tests know. The client, openlineage-python from
PyPI, is installed into a cache below target/ once. Exit code 1: an event is not what the classes make of it; 3: there
is no client to be had, and nothing was checked.
"""

import json
import os
import pathlib
import subprocess
import sys
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "openlineage"
CLIENT = "openlineage-python==1.54.0"
COMMITTED = ROOT / "crates/lineage/tests/events.jsonl"


def enter():
    """Goes on in a Python that has the client."""
    python = CACHE / "bin/python"
    if pathlib.Path(sys.prefix) == CACHE:
        return
    if not (CACHE / "whole").exists():
        try:
            venv.create(CACHE, with_pip=True, clear=True)
            install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", CLIENT]
            subprocess.run(install, check=True, timeout=300)
        except (subprocess.SubprocessError, OSError) as error:
            print(f"skipped: {CLIENT} cannot be installed ({error})", file=sys.stderr)
            sys.exit(3)
        (CACHE / "whole").touch()
    os.execv(python, [python, __file__, *sys.argv[1:]])


def facets_of(facets):
    """The classes' own objects for facets, by the class that each facet's schema names."""
    from openlineage.client import facet_v2

    known = {}
    for module in vars(facet_v2).values():
        for name, thing in vars(module).items() if hasattr(module, "__name__") else ():
            if isinstance(thing, type) and hasattr(thing, "_get_schema"):
                known[name] = thing
    made = {}
    for key, facet in (facets or {}).items():
        facet = dict(facet)
        producer, schema = facet.pop("_producer"), facet.pop("_schemaURL")
        kind = known[schema.rsplit("/", 1)[1]]
        assert kind._get_schema() == schema, f"{key}: the client has {kind._get_schema()}, the event {schema}"
        if key == "parent":
            from openlineage.client.facet_v2 import parent_run

            facet = {"run": parent_run.Run(**facet["run"]), "job": parent_run.Job(**facet["job"])}
        made[key] = kind(**facet, producer=producer)
    return made


def check(event):
    """Makes the event of the client's classes, which validate it, and compares what they write."""
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
    from openlineage.client.serde import Serde

    def dataset(kind, data, own):
        more = {own: facets_of(data[own])} if own in data else {}
        return kind(namespace=data["namespace"], name=data["name"], facets=facets_of(data["facets"]), **more)

    run, job = event["run"], event["job"]
    made = RunEvent(
        eventType=RunState(event["eventType"]),
        eventTime=event["eventTime"],
        producer=event["producer"],
        run=Run(runId=run["runId"], facets=facets_of(run["facets"])),
        job=Job(namespace=job["namespace"], name=job["name"], facets=facets_of(job["facets"])),
        inputs=[dataset(InputDataset, data, "inputFacets") for data in event["inputs"]],
        outputs=[dataset(OutputDataset, data, "outputFacets") for data in event["outputs"]],
    )
    written = json.loads(Serde.to_json(made))
    return without_empty(written), without_empty(event)


def without_empty(value):
    """Empty maps say nothing, and the client writes more of them."""
    if isinstance(value, dict):
        return {key: without_empty(inner) for key, inner in value.items() if inner != {}}
    if isinstance(value, list):
        return [without_empty(inner) for inner in value]
    return value


def main(files):
    enter()
    checked = wrong = 0
    for file in files or [COMMITTED]:
        for number, line in enumerate(pathlib.Path(file).read_text().splitlines(), 1):
            event = json.loads(line.replace("VERSION", "0.0.0"))
            checked += 1
            try:
                written, told = check(event)
                assert written == told, f"the client writes\n{written}\ninstead of\n{told}"
            except Exception as error:
                wrong += 1
                print(f"{file}:{number}: {type(error).__name__}: {error}", file=sys.stderr)
    print(f"{checked} events, {wrong} of them not as the reference client would have them")
    sys.exit(1 if wrong or not checked else 0)


main(sys.argv[1:])
