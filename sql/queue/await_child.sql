select queue.await_child($1, $2) as "won!"
