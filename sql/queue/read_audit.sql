select a.at, a.actor, a.action, a.subject, a.details
from queue.audit a
where $1::text is null or a.subject = $1
order by a.id desc
limit $2
