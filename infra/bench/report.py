"""The results: Markdown for people, one JSON document for programs."""

from contest import FLAT
from flows import STEPS

LIMIT = "raw-sql"
OURS = "taleworks"
OUR_FLOWS = "taleworks-flows"


def compare(results):
    """The ratios that matter, each None where a side of it is missing."""
    flat = {one["name"]: one for one in results if one["shape"] == FLAT}
    peers = [one for name, one in flat.items() if name not in (OURS, LIMIT)]
    best = max(peers, key=lambda one: one["tasks_per_second"], default=None)
    ours = flat.get(OURS)
    return {
        "best_peer": best and best["name"],
        "ours_to_best_peer": ratio(ours, best),
        "ours_to_raw_sql": ratio(ours, flat.get(LIMIT)),
        "ours_to_raw_sql_in_the_same_process": ours and ours.get("ratio_to_raw_sql"),
    }


def ratio(left, right):
    if not left or not right or not right["tasks_per_second"]:
        return None
    return round(left["tasks_per_second"] / right["tasks_per_second"], 3)


def markdown(document):
    parts = [heading(document), flat_table(document["results"]), shapes_table(document["results"])]
    parts += [flow_table(document["results"], shape) for shape in STEPS]
    parts += [ratios(document["ratios"]), participants(document), others(document)]
    return "\n\n".join(part for part in parts if part)


def heading(document):
    machine, server = document["machine"], document["server"]
    busy = [record["busy_before"] for record in document["records"]]
    durable = {name: server["settings"][name] for name in ("fsync", "synchronous_commit", "full_page_writes")}
    lines = [
        f"`{document['command']}`, {document['began']}: {document['rounds']} rounds, interleaved, medians.",
        "",
        f"- {machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB, {machine['system']}, "
        f"Linux {machine['kernel']}",
        f"- PostgreSQL {server['version']} ({server['kind']}); "
        + ", ".join(f"{name} {value}" for name, value in durable.items())
        + f", shared_buffers {server['settings']['shared_buffers']}"
        + (f"; a durable write of 8 KiB takes {machine['fdatasync_ms']} ms" if "fdatasync_ms" in machine else ""),
        f"- load before the first round {document['load_at_begin']}, after the last {document['load_at_end']}"
        + (f"; others kept the processors {min(busy):.0%} to {max(busy):.0%} busy between rounds" if busy else ""),
    ]
    return "\n".join(lines)


def table(headings, rows):
    if not rows:
        return ""
    lines = ["| " + " | ".join(headings) + " |", "| --- |" + " ---: |" * (len(headings) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def flat_table(results):
    results = [one for one in results if one["shape"] == FLAT]
    by_name = {one["name"]: one for one in results}
    rows = [
        [
            one["name"] + stopped(one),
            f"{one['tasks_per_second']:,.0f}",
            f"{one['tasks_per_second_lowest']:,.0f} – {one['tasks_per_second_highest']:,.0f}",
            times(ratio(one, by_name.get(LIMIT))),
            times(ratio(by_name.get(OURS), one)),
        ]
        for one in sorted(results, key=lambda one: -one["tasks_per_second"])
    ]
    tasks = f"{results[0]['tasks']:,}" if results else ""
    return table([f"{tasks} flat no-op tasks", "tasks/s", "lowest – highest", "of raw SQL", "taleworks is"], rows)


def shapes_table(results):
    rows = [
        [
            f"{one['name']}, {one['shape']}",
            f"{one['tasks']:,}",
            f"{one['tasks_per_second']:,.0f}",
            f"{one['tasks_per_second_lowest']:,.0f} – {one['tasks_per_second_highest']:,.0f}",
            f"{one['raw_sql_per_second']:,.0f}",
            f"{one['ratio_to_raw_sql']:.2f}",
        ]
        for one in results
        if one["name"] == OURS
    ]
    headings = ["shape", "tasks", "tasks/s", "lowest – highest", "raw SQL beside it, tasks/s", "of raw SQL"]
    return table(headings, rows)


def flow_table(results, shape):
    results = [one for one in results if one["shape"] == shape]
    ours = next((one for one in results if one["name"] == OUR_FLOWS), None)
    rows = [
        [
            one["name"] + stopped(one),
            f"{one['seconds']:.2f}" if one["is_whole"] else f"over {one['seconds']:.0f}",
            f"{1000 / one['tasks_per_second']:,.1f}" if one["tasks_per_second"] else "–",
            times(ratio(ours, one)),
        ]
        for one in sorted(results, key=lambda one: -one["tasks_per_second"])
    ]
    name = {"sequence": "40 no-op steps in a row", "fan-out": "1 → 100 → 1 no-op steps"}[shape]
    return table([name, "s", "ms per step", "taleworks is"], rows)


def stopped(one):
    return "" if one["is_whole"] else f" (stopped after {one['completed']:,} of {one['tasks']:,})"


def times(value):
    if value is None:
        return "–"
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f} ×"


def ratios(found):
    lines = []
    if found["ours_to_best_peer"] is not None:
        best = found["best_peer"]
        lines.append(f"- flat tasks: taleworks runs {times(found['ours_to_best_peer'])} the best peer, {best}")
    if found["ours_to_raw_sql"] is not None:
        lines.append(f"- flat tasks: taleworks runs {times(found['ours_to_raw_sql'])} raw batched SQL")
    return "\n".join(lines)


def participants(document):
    lines = []
    for one in document["participants"]:
        versions = ", ".join(f"{name} {version}" for name, version in one["versions"].items())
        lines.append(f"- **{one['name']}** ({versions}): {one['about']}")
    return "\n".join(lines)


def others(document):
    """What is not in the tables, and why."""
    lines = [f"- skipped: **{one['name']}**: {one['reason']}" for one in document["skipped"]]
    for record in document["records"]:
        if "failure" in record:
            lines.append(f"- failed: **{record['name']}** in round {record['round']}: {record['failure']}")
    return "\n".join(lines)
