insert into treasury.withdrawal (
    key, account, asset, destination, country, state, ruleset, gross, net, fee, haircut, requested_day, matures_day
)
values (
    $1, $2, $3, $4, $5, 'requested', $6,
    $7::text::numeric, $8::text::numeric, $9::text::numeric, $10::text::numeric, $11, $12
)
returning id
