select code, decimals, description from ledger.asset order by code collate "C"
