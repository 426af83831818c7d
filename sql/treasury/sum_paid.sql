select coalesce(sum(paid), 0)::text as "paid!"
from treasury.epoch
where day <= $1 and state in ('posted', 'published')
