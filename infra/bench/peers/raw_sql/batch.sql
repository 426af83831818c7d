-- One batch for pgbench: a durable claim, then a durable completion.
with taken as (
    delete from ready
    where ctid = any (array(select ctid from ready order by id limit :batch for update skip locked))
    returning id
), held as (
    insert into lease select id, :client_id from taken returning id
)
select coalesce(array_agg(id), '{}')::text as ids from held \gset
delete from lease where id = any (cast(:ids as bigint[]));
