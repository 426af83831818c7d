select queue.mark_archived($1, $2, $3, $4) as "is_marked!"
