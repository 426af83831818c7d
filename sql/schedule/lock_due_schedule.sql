-- The schedule that is due longest and that no other scheduler deals with just now.
select pipeline, definition, next_fire as "next_fire!", clock_timestamp() as "now!"
from schedule.schedule
where paused_at is null and next_fire <= clock_timestamp() and pipeline <> all ($1)
order by next_fire
limit 1
for update skip locked
