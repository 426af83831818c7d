-- Nothing where the fire has its run; a back-fill also takes one whose run could not start.
insert into schedule.fire as f (pipeline, fire_at, logical_date, run_id, backfill_id)
values ($1, $2, $3, $4, $5)
on conflict (pipeline, fire_at) do update
    set run_id = excluded.run_id, error = null, backfill_id = excluded.backfill_id
    where f.run_id is null and excluded.backfill_id is not null
returning true as "taken!"
