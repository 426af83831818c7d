"""graphile-worker, from npm."""

from drain import NodeDrain


class GraphileWorker(NodeDrain):
    name = "graphile-worker"
    about = "24 jobs at a time, local queue of 500, batched completions (the settings of its performance page)"
    directory = "graphile_worker"
    packages = ("graphile-worker", "pg", "@graphile/logger")
    variant = "batched"


class GraphileWorkerDefault(GraphileWorker):
    name = "graphile-worker-default"
    about = "24 jobs at a time; no batching, as it comes"
    variant = "default"


CONTESTANTS = [GraphileWorker(), GraphileWorkerDefault()]
