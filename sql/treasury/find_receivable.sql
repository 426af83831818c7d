select owner, origin_day, amount::text as "amount!", reason from treasury.receivable where correction = $1
