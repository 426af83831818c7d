-- the current one first, whenever its content was first applied
select v.id, v.name, v.digest, v.spec, v.applied_at
from queue.pipeline_version v left join queue.pipeline p on p.version_id = v.id
where v.name = $1
order by (p.name is null), v.id desc
