-- Objects that a person may mean by $1: an artifact's number, the beginning of a digest ($2 to $3), a data set or an
-- artifact's name; of a name the newest.
select r.digest as "digest!", r.what as "what!"
from (
    (select a.digest, 0 as rank, 'artifact ' || a.id as what, a.created_at from storage.artifact a where a.id = case when $1 ~ '^[0-9]{1,18}$' then $1::bigint end)
    union all
    (select o.digest, 1, 'object', now() from storage.touched_object o
     where $2::bytea is not null and o.digest between $2 and $3 limit 1000)
    union all
    (select a.digest, 1, 'object', a.created_at from storage.artifact a
     where $2::bytea is not null and a.digest between $2 and $3 limit 1000)
    union all
    (select d.manifest_digest, 2, 'data set ' || d.name, d.created_at from storage.dataset d where d.name = $1)
    union all
    (select a.digest, 3, 'artifact ' || a.id, a.created_at from storage.artifact a where a.name = $1
     order by a.id desc limit 1)
) r
order by r.rank, r.created_at desc
