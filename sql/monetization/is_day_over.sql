select now() at time zone 'UTC' >= $1::date + 1 as "is_over!"
