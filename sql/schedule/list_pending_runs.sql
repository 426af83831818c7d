-- Ended runs that triggers have not dealt with, and runs that back-fills wait for.
select e.run_id as "run_id!" from schedule.ended_run e
union
select unnest(b.open_runs) from schedule.backfill b where b.finished_at is null
