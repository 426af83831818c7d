update treasury.withdrawal_denial set lifted_at = now() where account = $1 and lifted_at is null
