select code, decimals, description from ledger.asset where code = $1
