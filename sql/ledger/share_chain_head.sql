-- Holds posters back while an audit reads several tables.
select journal_id, chain_digest from ledger.chain_head for share
