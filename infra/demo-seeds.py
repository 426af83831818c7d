"""Runs the demo over several seeds in its three forms and prints a Markdown table: `just demo-seeds [SEED…]`.

    python3 demo-seeds.py TALE [SEED…]

Rejections are counted by update over all rounds. The training run's outputs say who misbehaves, because the simulation
told them to; the validators are not told.
"""

import json
import subprocess
import sys
import tempfile

FORMS = {"with PoV": [], "ten honest alone": ["--no-attackers"], "PoV off": ["--no-pov"]}


def tale(program, *arguments):
    """What a command prints as JSON."""
    command = [program, *arguments, "--output", "json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)


def demo(program, seed, arguments):
    """The final test accuracy, the seconds, and rejected and sent updates by behaviour."""
    with tempfile.TemporaryDirectory(prefix="tale-seeds-") as directory:
        place = ["--data-dir", directory]
        document = tale(program, "demo", "--seed", seed, *place, *arguments)
        run = tale(program, "runs", "--pipeline", "federated-training", *place)[0]["id"]
        outputs = tale(program, "show", run, *place)["outputs"]
    behaviours = {one["name"]: one["behaviour"]["kind"] for one in outputs["participants"]}
    counts = {}
    for training_round in outputs["rounds"]:
        rejected = {one["name"] for one in training_round["rejected"]}
        for name, behaviour in behaviours.items():
            out, sent = counts.get(behaviour, (0, 0))
            counts[behaviour] = (out + (name in rejected), sent + 1)
    return document["rounds"][-1]["test_accuracy"], document["seconds"], counts


def share(counts, *behaviours):
    out = sum(counts.get(behaviour, (0, 0))[0] for behaviour in behaviours)
    sent = sum(counts.get(behaviour, (0, 0))[1] for behaviour in behaviours)
    return f"{out} of {sent}" + (f" ({out / sent:.1%})" if sent else "")


def row(name, counts, cells):
    attackers = share(counts, "poison", "free_ride")
    return f"| {name} | {attackers} | {share(counts, 'honest')} | " + " | ".join(cells) + " |"


def main(program, seeds):
    headings = ["seed", "attackers' updates rejected", "honest updates rejected", *FORMS, "seconds"]
    print("| " + " | ".join(headings) + " |")
    print("| " + " | ".join("---:" for _ in headings) + " |")
    total = {}
    for seed in seeds:
        results = [demo(program, seed, arguments) for arguments in FORMS.values()]
        counts = results[0][2]
        for behaviour, (out, sent) in counts.items():
            before = total.get(behaviour, (0, 0))
            total[behaviour] = (before[0] + out, before[1] + sent)
        cells = [f"{accuracy:.2%}" for accuracy, _, _ in results] + [f"{results[0][1]:.0f}"]
        print(row(seed, counts, cells), flush=True)
    print(row("all", total, ["" for _ in FORMS] + [""]))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:] or [str(seed) for seed in range(1, 11)])
