-- Two requests under one key take turns until the end of their transactions.
select pg_advisory_xact_lock(hashtextextended('treasury.withdrawal/' || $1, 0))::text as "locked!"
