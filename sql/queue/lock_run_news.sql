-- One process at a time tells news, so that they are told in order; the lock ends with the session.
select pg_try_advisory_lock(8386095523092815214) as "locked!"
