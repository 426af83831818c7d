select queue.take_place($1, $2) as "goes_on!"
