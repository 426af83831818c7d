select id, name, owner, is_participant, is_validator, credibility_ppm, registered_at
from network.generator
where ($1::boolean and is_participant) or ($2::boolean and is_validator)
order by name collate "C"
