select run_id as "run_id!" from schedule.fire where backfill_id = $1 and run_id is not null order by fire_at
