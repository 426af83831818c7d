select fire_at, logical_date, run_id, error, backfill_id
from schedule.fire where pipeline = $1 and fire_at between $2 and $3
order by fire_at
