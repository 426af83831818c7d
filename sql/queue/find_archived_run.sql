select a.run_id, a.pipeline, a.state, a.trigger, a.logical_date, a.steps, a.failed_steps, a.created_at, a.finished_at,
       a.digest, a.size_bytes, a.archived_at
from queue.archived_run a where a.run_id = $1
