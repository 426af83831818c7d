select r.id, r.pipeline, r.version_id, v.digest, r.state::text as "state!", r.params, r.dedup_key, r.logical_date, r.fire_time, r.trigger,
       r.outputs, r.created_at, r.finished_at, r.open_steps, r.failed_steps, r.parent_task,
       (select t.run_id from queue.task t where t.id = r.parent_task) as parent_run
from queue.run r join queue.pipeline_version v on v.id = r.version_id
where r.id = $1
