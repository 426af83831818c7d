select id, name, owner, is_participant, is_validator, credibility_ppm, registered_at
from network.generator
where id = $1
