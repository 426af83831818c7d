select queue.await_approval($1, $2, $3, $4, $5::text::queue.decision) as "won!"
