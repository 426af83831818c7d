insert into ledger.asset (code, decimals, description) values ($1, $2, $3)
on conflict (code) do nothing
