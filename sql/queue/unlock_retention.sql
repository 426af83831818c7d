select pg_advisory_unlock(8386095523092816244) as "unlocked!"
