insert into monetization.special_listing (wallet, tier, source)
values ($1, $2, $3)
on conflict (wallet, tier, source) do nothing
