select id, event, key, epoch, description, entry_count, content_digest, chain_digest, posted_at
from ledger.journal
order by id
