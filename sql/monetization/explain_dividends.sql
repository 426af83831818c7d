select day, origin_day, kind, work, asset, line.event_count, line.gross::text as "gross!", line.fee::text as "fee!",
    line.network::text as "network!", line.distributed::text as "distributed!",
    dividend.units::text as "units!", dividend.amount::text as "amount!",
    (
        select sum(units)::text from monetization.dividend of_all
        where (of_all.day, of_all.origin_day, of_all.kind, of_all.work, of_all.asset)
            = (line.day, line.origin_day, line.kind, line.work, line.asset)
    ) as "units_total!"
from monetization.dividend
join monetization.dividend_line line using (day, origin_day, kind, work, asset)
where dividend.holder = $1 and ($2::date is null or day = $2)
order by day, origin_day, kind, work, asset
