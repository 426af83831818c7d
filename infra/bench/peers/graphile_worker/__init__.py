"""graphile-worker, from npm."""

from drain import NodeDrain


class GraphileWorker(NodeDrain):
    name = "graphile-worker"
    about = "four processes with 24 jobs at a time, local queues of 500, batched completions (as on its performance page)"
    directory = "graphile_worker"
    packages = ("graphile-worker", "pg", "@graphile/logger")
    variant = "batched"
    # As the page measured it with.
    processes = 4


class GraphileWorkerDefault(GraphileWorker):
    name = "graphile-worker-default"
    about = "the same without batching, as it comes"
    variant = "default"


CONTESTANTS = [GraphileWorker(), GraphileWorkerDefault()]
