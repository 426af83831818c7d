insert into treasury.contribution (source, generator_id, points)
select $1, * from unnest($2::uuid[], $3::bigint[])
