insert into treasury.sealed_input (day, class, generator_id, origin_day, owner, points)
select $1, * from unnest($2::text[], $3::uuid[], $4::date[], $5::bytea[], $6::bigint[])
