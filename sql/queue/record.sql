insert into queue.audit (actor, action, subject, details) values ($1, $2, $3, $4)
