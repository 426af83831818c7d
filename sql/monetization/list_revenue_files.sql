select path, version, digest, size_bytes, row_count, last_day
from monetization.revenue_file
where day = $1
order by path
