select queue.release_leases($1, $2) as "released!"
