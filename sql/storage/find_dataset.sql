-- $1 name
select name, manifest_digest, manifest_size, height, width, channels, classes, rows, created_at
from storage.dataset
where name = $1
