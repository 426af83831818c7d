select k.run_id as "run_id!", k.finished_at as "finished_at?",
       (select count(*) from queue.task t where t.run_id = k.run_id) as "tasks!"
from queue.run_tree($1) k
