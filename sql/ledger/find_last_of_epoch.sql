-- The last journal that settles the day, or the last day before it that any journal settles.
select id from ledger.journal where epoch <= $1 order by epoch desc, id desc limit 1
