select name, manifest_digest, manifest_size, height, width, channels, classes, rows, created_at
from storage.dataset
order by name
