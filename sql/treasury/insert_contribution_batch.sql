insert into treasury.contribution_batch (source, origin_day, content_digest)
values ($1, $2, $3)
on conflict (source) do nothing
