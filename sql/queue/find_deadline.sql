-- By when a run is to have ended; nothing once that is past.
select d.due_at from queue.deadline d join queue.run r on r.id = d.run_id where d.run_id = $1 and r.finished_at is null
