select r.task_id as "task_id!", r.dead as "dead!" from queue.reap($1, $2) r
