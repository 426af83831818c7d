select event_id, day, content_digest
from monetization.revenue_event
where event_id = any($1)
