select pipeline, index, definition from schedule.trigger where watches = $1 order by pipeline, index
