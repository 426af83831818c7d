insert into monetization.purchase (key, round, buyer, units, price_cents, state, reserved_at, expires_at)
values ($1, $2, $3, $4, $5, 'reserved', $6, $7)
