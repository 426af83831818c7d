insert into schedule.trigger (pipeline, index, version_id, definition, watches, prefix, every_ms, next_look)
values ($1, $2, $3, $4, $5, $6, $7, case when $6::text is not null then clock_timestamp() end)
