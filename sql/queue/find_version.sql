select v.id, v.name, v.digest, v.spec, v.applied_at from queue.pipeline_version v where v.id = $1
