select id from queue.run where pipeline = $1 and dedup_key = $2
