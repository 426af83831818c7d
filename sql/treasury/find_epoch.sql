select day, state, ruleset, inputs_digest, result_digest, asset, token,
    pool::text, paid::text, carried::text, journal_id, leaf_count, root,
    sealed_at, computed_at, posted_at, published_at
from treasury.epoch
where day = $1
