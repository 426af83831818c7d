select queue.publish_outputs($1, $2, $3) as "won!"
