-- Nothing where the same days are being back-filled already.
insert into schedule.backfill (pipeline, first_day, last_day, definition, concurrency, next_fire, last_fire, total)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (pipeline, first_day, last_day) where finished_at is null do nothing
returning id
