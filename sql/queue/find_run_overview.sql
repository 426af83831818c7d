select r.pipeline, v.digest, r.version_id, r.state::text as "state!", r.is_paused, r.params, r.dedup_key, r.logical_date,
       r.fire_time, r.priority, r.tenant, r.trigger, r.reason, r.outputs, r.created_at, r.finished_at,
       (select t.run_id from queue.task t where t.id = r.parent_task) as parent_run
from queue.run r join queue.pipeline_version v on v.id = r.version_id
where r.id = $1
