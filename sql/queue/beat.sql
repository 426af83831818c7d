select b.registered as "registered!", b.lost as "lost!" from queue.beat($1, $2, $3, $4) b
