insert into monetization.licence (purchase_key, place, owner)
select key, place, buyer
from monetization.purchase
cross join generate_series(1, units) as places (place)
where key = $1
order by place
