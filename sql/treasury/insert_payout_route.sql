insert into treasury.payout_route (token, route) values ($1, $2) on conflict do nothing
