select id from ledger.journal where posted_at <= $1 order by posted_at desc, id desc limit 1
