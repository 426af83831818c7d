select c.task_id as "task_id!", c.attempt_id as "attempt_id!", c.priority as "priority!", c.seq as "seq!",
       c.run_id as "run_id!", c.pipeline as "pipeline!", c.version_id as "version_id!",
       c.logical_date as "logical_date!", c.step as "step!", c.step_name as "step_name!", c.kind as "kind!",
       c.index as "index!", c.arguments, c.attempts as "attempts!", c.crashes as "crashes!",
       c.attempts_max as "attempts_max!", c.timeout_ms
from queue.claim_fitting($1, $2, $3, $4) c
