insert into treasury.staking_day (day, total_locked, flexible_rate_ppm, due, paid, journal_id)
values ($1, $2::text::numeric, $3, $4::text::numeric, $5::text::numeric, $6)
