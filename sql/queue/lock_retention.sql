-- One scheduler at a time makes objects of old runs; the lock ends with the transaction or the session.
select pg_try_advisory_lock(8386095523092816244) as "locked!"
