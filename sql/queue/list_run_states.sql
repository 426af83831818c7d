-- Which of these runs are there, and whether they go on.
select r.id, r.state::text as "state!", r.finished_at is not null as "is_over!" from queue.run r where r.id = any ($1)
