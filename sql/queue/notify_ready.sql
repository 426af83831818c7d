-- nobody loses a task with the notification, so it does not wait for the disk
select set_config('synchronous_commit', 'off', true) as "setting", pg_notify('tale_ready', '')::text as "sent"
