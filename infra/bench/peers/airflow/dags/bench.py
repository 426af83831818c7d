"""The DAGs for Airflow. Operators without work, such as EmptyOperator, are never run: these tasks are."""

from airflow.sdk import dag, task


@task
def noop():
    pass


@task
def listed():
    return list(range(100))


@task
def one(item):
    pass


@task(trigger_rule="all_success")
def joined(items):
    pass


@dag(schedule=None, catchup=False)
def bench_sequence():
    previous = None
    for index in range(40):
        current = noop.override(task_id=f"step_{index}")()
        if previous is not None:
            previous >> current
        previous = current


@dag(schedule=None, catchup=False)
def bench_fan_out():
    joined(one.expand(item=listed()))


bench_sequence()
bench_fan_out()
