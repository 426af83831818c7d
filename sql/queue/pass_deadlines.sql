select p.alert_id as "alert_id!", p.run_id as "run_id!", p.pipeline as "pipeline!", p.logical_date as "logical_date!",
       p.due_at as "due_at!", p.state::text as "state!", p.hook
from queue.pass_deadlines($1) p
