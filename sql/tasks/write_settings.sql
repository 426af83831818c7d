-- $1 role, or none; $2 search path; $3 statement time-out: until the end of the transaction
select
    set_config('search_path', $2, true) as "search_path!",
    set_config('statement_timeout', $3, true) as "statement_timeout!",
    set_config('role', $1, true) as "role!"
