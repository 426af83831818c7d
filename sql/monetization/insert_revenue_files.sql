insert into monetization.revenue_file (day, path, version, digest, size_bytes, row_count, last_day)
select $1, path, version, digest, size_bytes, row_count, last_day
from unnest($2::text[], $3::text[], $4::bytea[], $5::bigint[], $6::bigint[], $7::date[])
    as given (path, version, digest, size_bytes, row_count, last_day)
