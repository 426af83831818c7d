-- A pipeline that a chain of triggers leads back to itself.
with recursive upstream (pipeline, source) as (
    select t.pipeline, t.watches from schedule.trigger t where t.watches is not null
    union
    select u.pipeline, t.watches
    from upstream u join schedule.trigger t on t.pipeline = u.source
    where t.watches is not null
)
select pipeline as "pipeline!" from upstream where pipeline = source order by pipeline limit 1
