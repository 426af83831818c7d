select pg_try_advisory_lock(hashtext('schedule.look'), hashtext($1 || ' ' || $2)) as "locked!"
