select n.id, n.run_id, n.pipeline, n.event, n.at, n.started_at, n.fire_time, n.parent_run, n.parent_pipeline, n.error
from queue.run_news n order by n.id limit $1
