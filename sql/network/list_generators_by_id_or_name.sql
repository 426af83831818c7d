select id, name, owner, is_participant, is_validator, credibility_ppm, registered_at
from network.generator
where id = any($1::uuid[]) or name = any($2::text[])
order by name
