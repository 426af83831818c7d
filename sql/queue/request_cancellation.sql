select queue.request_cancellation($1) as "requested!"
