"""Where the peers are installed: one directory per peer, from PyPI or npm, at the newest version that runs here."""

import json
import os
import platform
import shutil
import sys
from pathlib import Path

import children
from children import Failed

INSTALL_SECONDS = 1200


class Unavailable(Exception):
    """A peer that cannot be measured here; the message is the reason."""


class Cache:
    """`${XDG_CACHE_HOME:-~/.cache}/taleworks/bench`; with `refresh` off, what it has is used as it is."""

    def __init__(self, refresh=True):
        root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        self.root = Path(root) / "taleworks/bench"
        self.refresh = refresh
        self._node = None

    def python(self, name, *packages):
        """A virtual environment with the packages: its directory and their versions."""
        place = self.root / name
        python = place / "bin/python"
        if not python.exists():
            self._install(name, [sys.executable, "-m", "venv", "--clear", place])
        pip = [python, "-m", "pip"]
        install = [*pip, "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
        self._renew(place, packages, [*install, "--upgrade-strategy=eager", *packages])
        listed = json.loads(children.output([*pip, "list", "--format=json", "--disable-pip-version-check"]))
        return place, {one["name"].lower(): one["version"] for one in listed}

    def node(self, name, *packages):
        """A directory with `node_modules`: the directory, the Node.js to use, and the packages' versions."""
        node = self._newest_node()
        place = self.root / name
        self._npm_install(place, packages)
        versions = {one: installed_version(place, one) for one in packages}
        versions["node"] = children.output([node, "--version"]).strip().removeprefix("v")
        return place, node, versions

    def _newest_node(self):
        # The newest releases of the peers want a newer Node.js than most systems have; npm has it as a package.
        if self._node is None:
            machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine())
            if machine is None:
                raise Unavailable(f"npm has no Node.js for {platform.machine()}")
            package = f"node-linux-{machine}"
            place = self.root / "node"
            self._npm_install(place, [package])
            self._node = place / "node_modules" / package / "bin/node"
        return self._node

    def _npm_install(self, place, packages):
        if not shutil.which("npm"):
            raise Unavailable("npm is not installed (Debian: apt-get install npm)")
        place.mkdir(parents=True, exist_ok=True)
        if not (place / "package.json").exists():
            (place / "package.json").write_text('{"private": true}\n')
        quiet = ["--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts"]
        newest = [f"{one}@latest" for one in packages]
        self._renew(place, packages, ["npm", "install", "--prefix", place, *quiet, *newest])

    def _renew(self, place, packages, command):
        """Runs an installation, unless it was done before and is not to be renewed."""
        done = place / "installed.json"
        wanted = json.dumps(sorted(packages))
        is_there = done.exists() and done.read_text() == wanted
        if is_there and not self.refresh:
            return
        try:
            self._install(place.name, command)
        except Unavailable as reason:
            if not is_there:
                raise
            print(f"bench: {reason}; using what the cache has", file=sys.stderr)
            return
        done.write_text(wanted)

    def _install(self, name, command):
        print(f"bench: installing {name}", file=sys.stderr)
        try:
            children.output(command, seconds=INSTALL_SECONDS)
        except Failed as failure:
            raise Unavailable(f"it cannot be installed: {failure}") from None


def installed_version(place, package):
    return json.loads((place / "node_modules" / package / "package.json").read_text())["version"]
