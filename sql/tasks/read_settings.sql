select
    current_setting('role') as "role!",
    current_setting('search_path') as "search_path!",
    current_setting('statement_timeout') as "statement_timeout!"
