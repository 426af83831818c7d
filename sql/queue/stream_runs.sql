-- Everything of these runs, as one snapshot sees it: a line of JSON for each row.
with ids as (
    select u.run_id from unnest($1::uuid[]) u (run_id)
), tasks as materialized (
    select t.* from ids i join queue.task t on t.run_id = i.run_id
)
select jsonb_build_object('run', to_jsonb(r) || jsonb_build_object(
           'version', encode(v.digest, 'hex'),
           'parent_run', (select p.run_id from queue.task p where p.id = r.parent_task)))::text as "line!"
from ids i join queue.run r on r.id = i.run_id join queue.pipeline_version v on v.id = r.version_id
union all
select jsonb_build_object('step', to_jsonb(s) || jsonb_build_object('pool', p.name))::text
from ids i join queue.step s on s.run_id = i.run_id
left join queue.lane n on n.id = s.pool
join queue.pool p on p.id = coalesce(n.pool, s.pool)
union all
select jsonb_build_object('task', to_jsonb(t) || jsonb_build_object(
           'child_run', (select c.id from queue.run c where c.parent_task = t.id)))::text
from tasks t
union all
select jsonb_build_object('attempt', to_jsonb(a) || jsonb_build_object('run_id', t.run_id))::text
from queue.attempt a join tasks t on t.id = a.task_id
-- the range is what the summary of the table's blocks can find
where a.task_id between (select min(t.id) from tasks t) and (select max(t.id) from tasks t)
union all
select jsonb_build_object('approval', to_jsonb(a))::text
from ids i join queue.approval a on a.run_id = i.run_id
union all
select jsonb_build_object('log', to_jsonb(l) || jsonb_build_object('digest', encode(l.digest, 'hex')))::text
from ids i join queue.attempt_log l on l.run_id = i.run_id
