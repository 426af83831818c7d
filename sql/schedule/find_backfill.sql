select id, pipeline, first_day, last_day, concurrency, total, started, known, failed,
       cardinality(open_runs) as "open!", created_at, finished_at
from schedule.backfill where id = $1
