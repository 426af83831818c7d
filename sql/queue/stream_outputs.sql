-- The items of the list that the outputs of a step hold below these keys, from a place on.
select u.item as "item!"
from queue.step s
join queue.task t on t.run_id = s.run_id and t.step = s.index and t.index = 0
cross join jsonb_array_elements(t.outputs #> $3::text[]) with ordinality u (item, place)
where s.run_id = $1 and s.name = $2 and u.place > $4
order by u.place
