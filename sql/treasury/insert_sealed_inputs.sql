insert into treasury.sealed_input (day, generator_id, owner, points)
select $1, * from unnest($2::uuid[], $3::bytea[], $4::bigint[])
