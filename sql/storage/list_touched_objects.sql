-- $1 attempts; an object that was published goes by its artifact's name, and says where it came from
select o.attempt_id, o.role::text as "role!", o.digest, coalesce(o.name, a.name) as name, o.size_bytes,
       a.id as "artifact?", a.media_type as "media_type?", a.source as "source?"
from storage.touched_object o
left join lateral (
    select a.id, a.name, a.media_type, p.pipeline || '.' || p.step as source
    from storage.artifact a left join storage.production p on p.attempt_id = a.attempt_id
    where a.digest = o.digest and (o.role <> 'written' or a.attempt_id = o.attempt_id)
    order by a.id desc limit 1
) a on true
where o.attempt_id = any ($1::bigint[])
order by o.attempt_id, o.role, name, o.digest
