select coalesce(sum(paid - repaid), 0)::text as "paid!"
from treasury.epoch
where day <= $1 and state in ('posted', 'published', 'final')
