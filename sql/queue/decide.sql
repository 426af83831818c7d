select queue.decide($1, $2::text::queue.decision, $3, $4) as "answered!"
