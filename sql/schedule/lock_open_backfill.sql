-- The next back-fill after $1 that no other scheduler deals with just now.
select id, pipeline, definition, concurrency, next_fire, last_fire, started, known, failed, open_runs
from schedule.backfill
where finished_at is null and id > $1
order by id
limit 1
for update skip locked
