select pipeline, version_id, definition, next_fire, paused_at, last_fire, error, error_at, applied_at
from schedule.schedule
where $1::text is null or pipeline = $1
order by pipeline
