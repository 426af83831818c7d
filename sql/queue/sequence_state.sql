-- How far a sequence has come: the next index, and the outputs of the item before it.
select count(*)::int as "started!",
       (array_agg(t.outputs order by t.index desc))[1] as previous
from queue.task t where t.run_id = $1 and t.step = $2 and t.index >= 0
