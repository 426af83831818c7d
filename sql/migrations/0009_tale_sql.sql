-- The role under which the task kind sql.postgres runs its statements. It owns nothing and may do nothing until an
-- operator grants it something; above all it may not enter Taleworks' own schemas.
--
-- Roles belong to the whole server, so that it may be there already; and whoever migrates may not be allowed to make
-- roles, which must not keep the rest of the product from starting: the kind then says what is missing.
do $$
begin
    if not exists (select from pg_roles where rolname = 'tale_sql') then
        create role tale_sql nologin noinherit;
        comment on role tale_sql is 'Runs the statements of sql.postgres tasks; gets its rights from operators alone.';
    end if;
    execute format('grant tale_sql to %I', current_user);
exception
    when insufficient_privilege or duplicate_object or unique_violation then
        raise notice 'role tale_sql was not made or granted: sql.postgres needs it (%)', sqlerrm;
end
$$;
