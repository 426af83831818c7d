insert into treasury.receivable (correction, owner, origin_day, asset, amount, reason, actor, journal_id)
values ($1, $2, $3, $4, $5::text::numeric, $6, $7, $8)
