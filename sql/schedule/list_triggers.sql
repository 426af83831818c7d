select pipeline, index, definition, next_look, error, error_at from schedule.trigger order by pipeline, index
