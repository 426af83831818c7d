"""A night of settlement beside OpenZeppelin's JavaScript tree and a loop of single transfers, on one PostgreSQL."""

import json
from pathlib import Path

import children
from cache import Unavailable
from children import Failed

HERE = Path(__file__).parent
TREE = "@openzeppelin/merkle-tree"
# Connections of the loop: so many that several commits share a wait for the disk.
CLIENTS = 8
# What JavaScript may take for a million leaves, and some.
TREE_SECONDS = 1800
OURS_SECONDS = 3600
# As many as the loop's accounts are worth making: it meets them at random.
LOOP_ACCOUNTS = 100_000


def measure(options, cache, server):
    """Ours, then the tree, then the loop; whoever cannot be measured is named with the reason."""
    document = {"ours": ours(options, server), "skipped": []}
    for name, run in (("openzeppelin", tree), ("transfer_loop", loop)):
        try:
            document[name] = run(options, cache, server)
        except (Failed, Unavailable) as reason:
            document["skipped"].append({"name": name, "reason": str(reason)})
    document["ratios"] = ratios(document)
    return document


def ours(options, server):
    server.settle()
    command = [options.tale.resolve(), "bench", "settlement", "--accounts", options.accounts, "--output", "json"]
    environment = children.environment(DATABASE_URL=server.url)
    return json.loads(children.output(command, env=environment, seconds=OURS_SECONDS))


def tree(options, cache, _server):
    place, node, versions = cache.node("openzeppelin", TREE)
    program = place / "tree.mjs"
    program.write_text((HERE / "tree.mjs").read_text())
    command = [node, "--max-old-space-size=8192", program, options.js_accounts]
    measured = json.loads(children.output(command, seconds=TREE_SECONDS))
    return measured | {"versions": {name: versions[name] for name in (TREE, "node")}}


def loop(options, _cache, server):
    pgbench = server.programs / "pgbench"
    if not pgbench.is_file():
        raise Unavailable(f"there is no pgbench in {server.programs}")
    with server.fresh_database("transfer_loop") as url:
        server.query((HERE / "setup.sql").read_text(), url)
        server.query(f"insert into account select id, 1000000 from generate_series(1, {LOOP_ACCOUNTS}) id", url)
        server.query("vacuum analyze", url)
        server.settle()
        load = ["-n", "-M", "prepared", "-c", CLIENTS, "-j", 2, "-T", options.seconds, "-D", f"accounts={LOOP_ACCOUNTS}"]
        children.output([pgbench, *load, "-f", HERE / "transfer.sql", url], seconds=options.seconds + 60)
        transfers = int(server.query("select count(*) from transfer", url))
    return {"transfers": transfers, "seconds": options.seconds, "clients": CLIENTS}


def ratios(document):
    """How many times as fast we are, by the leaf and by the posting; None where a side is missing."""
    mine, js, single = document["ours"], document.get("openzeppelin"), document.get("transfer_loop")
    leaf = mine["tree_seconds"] / mine["accounts"]
    posting = mine["post_seconds"] / mine["accounts"]
    return {
        "tree_to_openzeppelin": js and round(js["seconds"] / js["accounts"] / leaf, 1),
        "post_to_transfer_loop": single and round(single["seconds"] / single["transfers"] / posting, 1),
    }


def markdown(document):
    mine, ratio = document["settlement"]["ours"], document["settlement"]["ratios"]
    about = document["machine"]
    lines = [
        f"`{document['command']}`, {document['began']}",
        "",
        f"- {about['cores']} cores of {about['cpu']}, {about['memory_gib']} GiB; "
        f"PostgreSQL {document['server']['version']} ({document['server']['kind']})",
        f"- load before {document['load_at_begin']}, after {document['load_at_end']}",
        "",
        f"| {mine['accounts']:,} accounts | seconds |",
        "| --- | ---: |",
    ]
    names = ("allocate", "tree", "seal", "compute", "check", "post", "publish", "close", "reconcile", "rerun")
    lines += [f"| {name} | {mine[f'{name}_seconds']:.1f} |" for name in names]
    lines += [f"| most memory of `tale`, MB | {mine['memory_peak_bytes'] / 1e6:.0f} |", ""]
    js, single = document["settlement"].get("openzeppelin"), document["settlement"].get("transfer_loop")
    if js:
        lines.append(
            f"- {TREE} {js['versions'][TREE]}: {js['accounts']:,} leaves in {js['seconds']:.1f} s and "
            f"{js['memory_bytes'] / 1e6:.0f} MB; by the leaf we are {ratio['tree_to_openzeppelin']} times as fast"
        )
    if single:
        lines.append(
            f"- a transaction for each transfer, {single['clients']} connections: {single['transfers']:,} in "
            f"{single['seconds']} s; by the posting we are {ratio['post_to_transfer_loop']} times as fast"
        )
    lines += [f"- not measured: {one['name']}, {one['reason']}" for one in document["settlement"]["skipped"]]
    return "\n".join(lines)
