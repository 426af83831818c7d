select owner, origin_day, correction, outstanding::text as "outstanding!"
from treasury.sealed_receivable
where day = $1
order by owner, origin_day, correction collate "C"
