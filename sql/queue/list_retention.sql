select r.pipeline, r.keep_seconds, r.keep_last, r.set_at from queue.retention r order by r.pipeline
