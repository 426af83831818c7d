-- Of each holder the latest change before the record day was over.
select given.record_day as "record_day!", given.work as "work!", held.holder as "holder!", held.units::text as "units!"
from unnest($1::date[], $2::text[]) as given (record_day, work)
cross join lateral (
    select distinct on (holder) holder, units
    from monetization.holding
    where holding.work = given.work and valid_from < (given.record_day + 1)::timestamp at time zone 'UTC'
    order by holder, valid_from desc
) held
where held.units > 0
