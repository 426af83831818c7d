"""Programs that the benchmark starts, none of which outlives it."""

import os
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager


class Failed(Exception):
    """A program that did not do what it was started for; the message says so in one line."""


class OutOfTime(Failed):
    """A program that was stopped at its limit."""


def environment(**changes):
    """Our own environment without what is meant for another database, and with `changes`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    for name in ("DATABASE_URL", "TALE_STORE", "TALE_DATA_DIR", "PYTHONPATH", "VIRTUAL_ENV"):
        inherited.pop(name, None)
    return inherited | changes


def output(command, *, seconds=60, env=None, stdin=None, cwd=None):
    """What a program prints. It has a session of its own, so that a terminal's Ctrl-C reaches only us."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with started(command, out=out, err=err, env=env, cwd=cwd, stdin=subprocess.PIPE) as child:
            try:
                child.communicate(None if stdin is None else stdin.encode(), timeout=seconds)
            except subprocess.TimeoutExpired:
                raise OutOfTime(f"{name_of(command)} took more than {seconds:.0f} s") from None
        if child.returncode != 0:
            raise Failed(f"{name_of(command)} ended with {child.returncode}: {last_words(err, out)}")
        out.seek(0)
        return out.read().decode(errors="replace")


@contextmanager
def started(command, *, out, err=subprocess.STDOUT, env=None, cwd=None, stdin=subprocess.DEVNULL, **others):
    """A program that runs as long as the block; it and its children are ended with it."""
    command = [str(part) for part in command]
    try:
        child = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=out,
            stderr=err,
            env=environment() if env is None else env,
            cwd=cwd,
            start_new_session=True,
            **others,
        )
    except OSError as error:
        raise Failed(f"{name_of(command)} cannot be run: {error}") from None
    try:
        yield child
    finally:
        end(child)


def end(child, patience=10):
    """Ends a program's whole process group: asked first, then made to."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and group_is_alive(child):
            time.sleep(0.02)
    child.wait()


def group_is_alive(child):
    child.poll()
    try:
        os.killpg(child.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def last_words(*files):
    """The last line that a program has written, for a message."""
    for file in files:
        file.seek(0)
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
        if lines:
            return lines[-1][:300]
    return "it said nothing"


def name_of(command):
    return os.path.basename(str(command[0]))
