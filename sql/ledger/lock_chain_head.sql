-- Posters queue here, so that a key is looked up after everyone who might hold it has finished.
select ledger.lock_head() as "journal_id!"
