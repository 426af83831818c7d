-- What became of the run that an alert was to start; in the transaction that raises the alert.
update queue.alert a set hook_run = $2, hook_error = $3 where a.id = $1
