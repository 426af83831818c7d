"""Runs the demo over several seeds in its three forms and prints a Markdown table: `just demo-seeds [SEED…]`.

    python3 demo-seeds.py TALE [SEED…]

`attackers rejected` and `honest rejected` count updates over all rounds; the demo knows who misbehaves, because it
told them to.
"""

import json
import subprocess
import sys
import tempfile

FORMS = {"PoV": [], "honest alone": ["--no-attackers"], "PoV off": ["--no-pov"]}


def demo(tale, seed, arguments):
    """One demo's JSON document, from a data directory that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="tale-seeds-") as directory:
        command = [tale, "demo", "--output", "json", "--seed", seed, "--data-dir", directory, *arguments]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def total(rounds, name):
    return sum(one[name] for one in rounds)


def share(part, whole):
    return f"{part}/{whole} ({part / whole:.1%})" if whole else "–"


def main(tale, seeds):
    print("| seed | attackers rejected | honest rejected |", *(f"{form} |" for form in FORMS))
    print("| ---: " * (3 + len(FORMS)) + "|")
    sums = dict.fromkeys(("attackers", "rejected_attackers", "honest", "rejected_honest"), 0)
    for seed in seeds:
        results = {form: demo(tale, seed, arguments) for form, arguments in FORMS.items()}
        rounds = results["PoV"]["rounds"]
        counts = {name: total(rounds, name) for name in sums}
        sums = {name: sums[name] + counts[name] for name in sums}
        accuracies = [f"{result['rounds'][-1]['test_accuracy']:.2%} |" for result in results.values()]
        print(row(seed, counts), *accuracies, flush=True)
    print(row("all", sums), *("|" for _ in FORMS))


def row(name, counts):
    attackers = share(counts["rejected_attackers"], counts["attackers"])
    return f"| {name} | {attackers} | {share(counts['rejected_honest'], counts['honest'])} |"


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:] or [str(seed) for seed in range(1, 11)])
