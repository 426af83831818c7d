select f.won as "won!", f.released as "released!" from queue.finish($1, $2, $3) f
