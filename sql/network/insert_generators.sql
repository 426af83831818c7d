-- Without a conflict target, so that a taken name is skipped too and named by the comparison that follows.
insert into network.generator (id, name, owner, is_participant, is_validator, credibility_ppm)
select * from unnest($1::uuid[], $2::text[], $3::bytea[], $4::boolean[], $5::boolean[], $6::integer[])
on conflict do nothing
