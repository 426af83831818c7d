select (now() at time zone 'utc')::date as "today!"
