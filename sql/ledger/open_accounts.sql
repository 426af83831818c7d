insert into ledger.account (kind, name, asset)
select split_part(given.key, ':', 1), split_part(given.key, ':', 2), split_part(given.key, ':', 3)
from (select distinct key from unnest($1::text[]) as key) given
where not exists (select from ledger.account where account.key = given.key)
