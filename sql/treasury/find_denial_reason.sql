select reason from treasury.withdrawal_denial where account = $1 and lifted_at is null
