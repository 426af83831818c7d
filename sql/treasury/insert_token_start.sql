insert into treasury.token_start (day) values ($1) on conflict do nothing
