update treasury.epoch
set state = 'published', leaf_count = $2, root = $3, manifest = $4, manifest_digest = $5, published_at = now()
where day = $1 and state = 'posted'
