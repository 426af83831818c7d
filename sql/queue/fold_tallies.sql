select queue.fold_tallies($1) as "folded!"
