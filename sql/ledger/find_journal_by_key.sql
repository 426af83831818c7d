select id, content_digest from ledger.journal where key = $1
