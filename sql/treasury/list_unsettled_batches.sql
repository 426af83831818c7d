-- A batch in which nobody earned anything is settled too.
select source from treasury.contribution_batch
where settled_day is null and origin_day <= $1 and class = any($2::text[])
order by source collate "C"
