insert into ledger.account (kind, name, asset)
select distinct given.kind, given.name, given.asset
from unnest($1::text[], $2::text[], $3::text[]) as given (kind, name, asset)
where not exists (
    select from ledger.account where key = given.kind || ':' || given.name || ':' || given.asset
)
