select day, state from treasury.epoch where day < $1 and state = any($2::text[]) order by day limit 1
