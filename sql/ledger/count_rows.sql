select (select count(*) from ledger.account) as "accounts!", (select count(*) from ledger.asset) as "assets!",
    (select count(*) from ledger.hold) as "holds!",
    (select count(*) from ledger.hold where ended_by is null) as "open_holds!"
