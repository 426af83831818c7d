select u.place as "place!"
from unnest($3::text[], $4::text[]) with ordinality u (path, version, place)
where not exists (
    select from schedule.seen_object s
    where s.pipeline = $1 and s.prefix = $2 and s.path = u.path and s.version = u.version)
order by u.place
