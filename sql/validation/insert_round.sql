insert into validation.round (lineage, round, base_digest, evidence_digest, evidence, memory)
values ($1, $2, $3, $4, $5, $6)
on conflict (lineage, round) do nothing
