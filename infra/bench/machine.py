"""What a reader must know of the machine to make anything of the figures."""

import os
import platform
import statistics
import tempfile
import time
from pathlib import Path


def describe(place):
    """The machine, once; `place` is a directory on the disk that the database writes to, or None."""
    document = {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "system": system_name(),
    }
    if place:
        document["fdatasync_ms"] = round(fdatasync_seconds(place) * 1000, 2)
    return document


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def system_name():
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def load():
    """The load averages of 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def busy_share(seconds=0.5):
    """The share of the processor time that somebody uses while the benchmark rests."""
    before = processor_times()
    time.sleep(seconds)
    total, idle = (now - then for now, then in zip(processor_times(), before))
    return round(1 - idle / total, 3) if total else 0.0


def processor_times():
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(fields), fields[3] + fields[4]


def fdatasync_seconds(place, times=50):
    """The median of writing one page durably: what each commit waits for at least."""
    taken = []
    with tempfile.NamedTemporaryFile(dir=place) as file:
        for _ in range(times):
            begin = time.perf_counter()
            file.write(bytes(8192))
            file.flush()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - begin)
    return statistics.median(taken)
