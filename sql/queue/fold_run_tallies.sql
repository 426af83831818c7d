-- Replaces many rows by their sums. What another scheduler folds at this moment is left to it.
with gone as (
    delete from queue.run_tally t
    where (select count(*) from (select 1 from queue.run_tally limit $1::bigint + 1) few) > $1
      and t.ctid = any (array(select c.ctid from queue.run_tally c for update skip locked))
    returning t.state, t.runs
)
insert into queue.run_tally (state, runs)
select g.state, sum(g.runs) from gone g group by g.state having sum(g.runs) <> 0
