-- Makes this content the pipeline's current version; says whether anything changed.
with version as (
    insert into queue.pipeline_version (name, digest, spec) values ($1, $2, $3)
    on conflict (name, digest) do update set name = excluded.name
    returning id
), before as (
    select version_id from queue.pipeline where name = $1
), current as (
    insert into queue.pipeline (name, version_id) select $1, v.id from version v
    on conflict (name) do update set version_id = excluded.version_id
    returning version_id
)
select c.version_id as "version_id!", (b.version_id is distinct from c.version_id) as "changed!"
from current c left join before b on true
