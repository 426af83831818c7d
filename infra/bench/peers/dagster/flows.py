"""The jobs for Dagster: `flows.py SHAPE LIMIT in_process|multiprocess`."""

import logging
import sys
import uuid

from dagster import (
    DagsterInstance,
    DynamicOut,
    DynamicOutput,
    In,
    Nothing,
    execute_job,
    graph,
    in_process_executor,
    multiprocess_executor,
    op,
    reconstructable,
)

from flow import measure

EXECUTORS = {
    "in_process": in_process_executor,
    "multiprocess": multiprocess_executor.configured({"start_method": {"forkserver": {"preload_modules": ["flows"]}}}),
}


@op(ins={"previous": In(Nothing)})
def noop():
    pass


@op(out=DynamicOut(int))
def first():
    for index in range(100):
        yield DynamicOutput(index, mapping_key=str(index))


@op
def middle(item):
    pass


@op
def last(items):
    pass


@graph
def sequence():
    previous = None
    for index in range(40):
        one = noop.alias(f"step_{index}")
        previous = one(previous) if previous else one()


@graph
def fan_out():
    last(first().map(middle).collect())


def make_job(shape, executor):
    chosen = {"sequence": sequence, "fan-out": fan_out}[shape]
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return chosen.to_job(name=shape.replace("-", "_"), executor_def=EXECUTORS[executor], config=quiet)


def sequence_in_process():
    return make_job("sequence", "in_process")


def fan_out_in_process():
    return make_job("fan-out", "in_process")


def sequence_multiprocess():
    return make_job("sequence", "multiprocess")


def fan_out_multiprocess():
    return make_job("fan-out", "multiprocess")


def main(shape, limit, executor):
    logging.disable(logging.CRITICAL)
    import flows

    job = reconstructable(getattr(flows, f"{shape.replace('-', '_')}_{executor}"))
    tags = {"bench": uuid.uuid4().hex}
    with DagsterInstance.get() as instance:

        def run():
            if not execute_job(job, instance, tags=tags).success:
                raise RuntimeError("the job failed")

        def completed():
            from dagster import RunsFilter

            run_id = instance.get_runs(RunsFilter(tags=tags))[0].run_id
            return instance.get_run_stats(run_id).steps_succeeded

        measure(shape, limit, run, completed)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3])
