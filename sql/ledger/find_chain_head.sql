select journal_id, chain_digest from ledger.chain_head
