update treasury.contribution_batch
set settled_day = $1
where source = any($2::text[]) and settled_day is null
