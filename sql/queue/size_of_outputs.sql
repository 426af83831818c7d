-- How long the list is that the outputs of a step hold below these keys; null where no list is there.
select case when jsonb_typeof(t.outputs #> $3::text[]) = 'array' then jsonb_array_length(t.outputs #> $3::text[]) end as length
from queue.step s join queue.task t on t.run_id = s.run_id and t.step = s.index and t.index = 0
where s.run_id = $1 and s.name = $2
