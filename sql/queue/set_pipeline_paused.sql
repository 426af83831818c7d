with before as (
    select p.name, p.is_paused from queue.pipeline p where p.name = $1 for no key update
), changed as (
    update queue.pipeline p set is_paused = $2 from before b where p.name = b.name and b.is_paused <> $2
)
select b.is_paused <> $2 as "changed!" from before b
