"""The flows for Prefect: `flows.py SHAPE LIMIT`."""

import sys

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flow import Counter, measure

ended = Counter()


@task(cache_policy=NO_CACHE)
def noop(previous):
    ended.add()


@flow
def sequence():
    previous = None
    for _ in range(40):
        previous = noop(previous)


@flow
def fan_out():
    first = noop.submit(None)
    middle = [noop.submit(first) for _ in range(100)]
    noop.submit(middle).result()


if __name__ == "__main__":
    shape, limit = sys.argv[1], float(sys.argv[2])
    measure(shape, limit, {"sequence": sequence, "fan-out": fan_out}[shape], ended)
