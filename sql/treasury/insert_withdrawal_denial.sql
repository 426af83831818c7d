insert into treasury.withdrawal_denial (account, reason) values ($1, $2) on conflict do nothing
