select pg_notify('tale_ready', '')
