select v.id, v.name, v.digest, v.spec, v.applied_at
from queue.pipeline p join queue.pipeline_version v on v.id = p.version_id
where p.name = $1
