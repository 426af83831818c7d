select pg_advisory_unlock(hashtext('schedule.look'), hashtext($1 || ' ' || $2)) as "unlocked!"
