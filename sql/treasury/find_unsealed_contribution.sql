-- The first sealed line that the settled batches do not add up to, or the other way round. Without origins, as under
-- ruleset 1, everything of a generator is one line of the epoch's day.
with recorded as (
    select batch.class, contribution.generator_id,
        case when $2::boolean then batch.origin_day else $1 end as origin_day, sum(contribution.points) as points
    from treasury.contribution_batch batch
    join treasury.contribution on contribution.source = batch.source
    where batch.settled_day = $1
    group by 1, 2, 3
)
select coalesce(sealed.class, recorded.class) as class,
    coalesce(sealed.generator_id, recorded.generator_id) as generator_id,
    coalesce(sealed.origin_day, recorded.origin_day) as origin_day, sealed.points::text as sealed,
    recorded.points::text as recorded
from (select * from treasury.sealed_input where day = $1) as sealed
full join recorded using (class, generator_id, origin_day)
where sealed.points is distinct from recorded.points
order by 1, 2, 3
limit 1
