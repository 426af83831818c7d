-- Posters queue here, so that a key is looked up after everyone who might hold it has finished.
select journal_id from ledger.chain_head for update
