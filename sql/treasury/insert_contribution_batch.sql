insert into treasury.contribution_batch (source, origin_day, class, content_digest)
values ($1, $2, $3, $4)
on conflict (source) do nothing
