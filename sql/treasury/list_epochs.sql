select day, state, ruleset, ruleset_digest, inputs_digest, result_digest, asset, token,
    pool::text, paid::text, repaid::text as "repaid!", carried::text, journal_id, chain_head, checked_digest,
    leaf_count, root, manifest_digest,
    (select reason from treasury.brake where brake.day <= epoch.day and released_at is null
        order by brake.day limit 1) as held,
    sealed_at, computed_at, posted_at, published_at, finalised_at
from treasury.epoch
order by day
