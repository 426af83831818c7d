use serde::Serialize;
use tale_ledger::{AccountKey, Asset, Balance, BalanceFilter, balances};
use tale_primitives::Amount;

use super::Units;
use crate::{arguments::Global, failure::Failure, installation::Installation, output};

#[derive(Serialize)]
struct Account {
    account: AccountKey,
    asset: Asset,
    balance: Amount,
    available: Amount,
    debits: Amount,
    credits: Amount,
}

impl From<Balance> for Account {
    fn from(balance: Balance) -> Self {
        Self {
            asset: balance.account.asset().clone(),
            balance: balance.amount(),
            available: balance.available(),
            debits: balance.debits,
            credits: balance.credits,
            account: balance.account,
        }
    }
}

/// Lists the balances that the filter lets through.
pub async fn list(global: &Global, filter: &BalanceFilter) -> Result<(), Failure> {
    let installation = Installation::look(global, "tale ledger balances").await?;
    let mut connection = installation.connection().await?;
    let found = balances(&mut connection, filter).await;
    let units = Units::load(&mut connection).await;
    drop(connection);
    installation.close().await?;
    let accounts: Vec<Account> = found?.into_iter().map(Account::from).collect();
    let units = units?;
    output::write(global.output, &accounts, |accounts| {
        let mut table = output::table(&["account", "balance", "available", "asset", "debits", "credits"]);
        for account in accounts {
            let write = |amount| units.write(amount, &account.asset);
            table.add_row([
                account.account.to_string(),
                write(account.balance),
                write(account.available),
                account.asset.to_string(),
                write(account.debits),
                write(account.credits),
            ]);
        }
        table
    })
}
