-- a conflict would take a number all the same, and there are only 32,767
insert into queue.pool (name)
select distinct u.name from unnest($1::text[]) u (name)
where not exists (select 1 from queue.pool p where p.name = u.name)
on conflict (name) do nothing
