update treasury.epoch
set state = 'published', leaf_count = $2, root = $3, published_at = now()
where day = $1 and state = 'posted'
