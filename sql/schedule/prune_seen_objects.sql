delete from schedule.seen_object s
where s.pipeline = $1 and s.prefix = $2
  and not exists (
      select from unnest($3::text[], $4::text[]) u (path, version) where u.path = s.path and u.version = s.version)
