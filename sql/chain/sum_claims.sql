select
    coalesce(sum(amount), 0)::text as "seen!",
    coalesce(sum(amount) filter (where journal_id is not null), 0)::text as "posted!"
from chain.claim
where chain_id = $1 and contract = $2 and token = $3 and not is_orphaned
