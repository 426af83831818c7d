select hold.id, journal.key
from ledger.hold
join ledger.journal on journal.id = hold.id
where hold.ended_by is null and hold.expires_at <= clock_timestamp()
order by hold.expires_at, hold.id
limit $1
