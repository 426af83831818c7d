select queue.drop_archived($1) as "dropped!"
