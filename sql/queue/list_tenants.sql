-- Tenants with a weight of their own, and those that have tasks or had some lately.
select u.name as "name!", coalesce(n.weight, 1) as "weight!", count(distinct d.task_id) as "ready!"
from (select n.name from queue.tenant n union select k.tenant from queue.turn k) u
left join queue.tenant n on n.name = u.name
left join queue.run r on r.tenant = u.name and r.finished_at is null
left join queue.task t on t.run_id = r.id and t.state in ('blocked', 'queued')
left join queue.ready d on d.task_id = t.id
group by u.name, n.weight
order by u.name
limit 10000
