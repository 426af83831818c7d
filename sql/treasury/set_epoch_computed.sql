update treasury.epoch
set state = 'computed', result_digest = $2, asset = $3, token = $4, pool = $5::text::numeric,
    paid = $6::text::numeric, repaid = $7::text::numeric, carried = $8::text::numeric, computed_at = now()
where day = $1 and state = 'sealed'
