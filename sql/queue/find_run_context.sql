-- What an expansion needs to know of its run, and how deeply the run is nested.
with recursive ancestors as (
    select r.id, r.parent_task, 1 as depth from queue.run r where r.id = $1
    union all
    select p.id, p.parent_task, a.depth + 1
    from ancestors a join queue.task t on t.id = a.parent_task join queue.run p on p.id = t.run_id
)
select r.version_id, r.pipeline, r.params, r.logical_date, r.fire_time, r.priority,
       (select max(a.depth) from ancestors a) as "depth!",
       (select t.run_id from queue.task t where t.id = r.parent_task) as parent_run
from queue.run r where r.id = $1
