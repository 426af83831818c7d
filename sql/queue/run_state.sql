select r.state::text as "state!", r.outputs from queue.run r where r.id = $1
