select id, account, reason, denied_at, lifted_at from treasury.withdrawal_denial order by id
