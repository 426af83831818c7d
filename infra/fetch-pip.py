"""Fetches pip itself, for a Python that comes without it (Debian packages pip and ensurepip separately).

    python3 fetch-pip.py DESTINATION.whl

Asks the index as pip does ($PIP_INDEX_URL or PyPI; the JSON of PEP 691), takes the newest wheel that this Python can
run, and checks its SHA-256. From then on pip does the rest: `python3 DESTINATION.whl/pip install …`.
"""

import hashlib
import json
import os
import re
import sys
import urllib.parse
import urllib.request

ACCEPT = {"Accept": "application/vnd.pypi.simple.v1+json"}


def release(name):
    """(24, 1) of pip-24.1-py3-none-any.whl; nothing for a pre-release or another kind of file."""
    match = re.fullmatch(r"pip-(\d+(?:\.\d+)*)-py3-none-any\.whl", name)
    return tuple(map(int, match[1].split("."))) if match else None


def runs_here(requires):
    """Whether `>=3.9` and the like, the only form that pip's own wheels use, admits this Python."""
    oldest = re.search(r">=\s*(\d+)\.(\d+)", requires or "")
    return oldest is None or sys.version_info[:2] >= (int(oldest[1]), int(oldest[2]))


def main(destination):
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + "/pip/"
    with urllib.request.urlopen(urllib.request.Request(index, headers=ACCEPT), timeout=60) as answer:
        files = json.load(answer)["files"]
    wheels = [
        (release(file["filename"]), file["url"], file["hashes"]["sha256"])
        for file in files
        if release(file["filename"]) and not file.get("yanked") and runs_here(file.get("requires-python"))
    ]
    if not wheels:
        sys.exit(f"no pip for Python {sys.version.split()[0]} at {index}")
    _, url, expected = max(wheels)
    with urllib.request.urlopen(urllib.parse.urljoin(index, url), timeout=60) as answer:
        content = answer.read()
    if hashlib.sha256(content).hexdigest() != expected:
        sys.exit(f"{url} is damaged: its SHA-256 is not {expected}")
    with open(destination + ".partial", "wb") as file:
        file.write(content)
    os.replace(destination + ".partial", destination)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except OSError as error:
        sys.exit(f"cannot fetch pip: {error}")
