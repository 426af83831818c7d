use clap::Args;
use serde::Serialize;
use serde_json::json;
use sqlx::Connection;
use tale_ledger::{AccountKey, JournalId, NewLimit, list_limits, set_limit};
use tale_primitives::Amount;

use super::{Units, account_key};
use crate::{arguments::Global, failure::Failure, installation::Installation, operator::audit, output};

/// Gives an account a floor, a ceiling or neither, in place of the limits that it has.
#[derive(Debug, Args)]
pub struct Limit {
    /// The account: holder:0x…:xTALE, issuance:generator-pool:xTALE.
    #[arg(value_parser = account_key)]
    account: AccountKey,
    /// What is available may not fall below this, in base units.
    #[arg(long, value_name = "AMOUNT")]
    floor: Option<Amount>,
    /// The balance, with what is pending into it, may not pass this, in base units.
    #[arg(long, value_name = "AMOUNT")]
    ceiling: Option<Amount>,
    /// The idempotency key: setting the same limits under it again changes nothing.
    #[arg(long)]
    key: String,
    /// Why, for the record.
    #[arg(long, default_value = "")]
    reason: String,
}

#[derive(Serialize)]
struct Set {
    account: AccountKey,
    floor: Option<Amount>,
    ceiling: Option<Amount>,
    journal: JournalId,
    changed: bool,
}

impl Limit {
    /// Sets the limits, and writes to the audit log who did.
    pub async fn run(&self, global: &Global) -> Result<(), Failure> {
        let installation = Installation::look(global, "tale ledger limit").await?;
        let set = self.set(&installation).await;
        installation.close().await?;
        let (set, units) = set?;
        output::write(global.output, &set, |set| {
            let mut table = output::table(&["account", "floor", "ceiling", "journal", "changed"]);
            let asset = set.account.asset();
            table.add_row([
                set.account.to_string(),
                units.write_known(set.floor, asset),
                units.write_known(set.ceiling, asset),
                set.journal.to_string(),
                if set.changed { "yes" } else { "no" }.to_owned(),
            ]);
            table
        })
    }

    async fn set(&self, installation: &Installation) -> Result<(Set, Units), Failure> {
        let Self { account, floor, ceiling, key, reason } = self;
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        let limit = NewLimit {
            key: key.clone(),
            description: reason.clone(),
            account: account.clone(),
            floor: *floor,
            ceiling: *ceiling,
        };
        let posted = set_limit(&mut transaction, &limit).await?;
        if !posted.already_posted {
            let details = json!({ "floor": floor, "ceiling": ceiling, "key": key, "reason": reason });
            audit(&mut transaction, "ledger.limit", &account.to_string(), &details).await?;
        }
        transaction.commit().await?;
        let set = Set {
            account: account.clone(),
            floor: *floor,
            ceiling: *ceiling,
            journal: posted.journal_id,
            changed: !posted.already_posted,
        };
        Ok((set, Units::load(&mut connection).await?))
    }
}

/// Lists the limits that hold.
pub async fn list(global: &Global) -> Result<(), Failure> {
    let installation = Installation::look(global, "tale ledger limits").await?;
    let mut connection = installation.connection().await?;
    let limits = list_limits(&mut connection).await;
    let units = Units::load(&mut connection).await;
    drop(connection);
    installation.close().await?;
    let units = units?;
    output::write(global.output, &limits?, |limits| {
        let mut table = output::table(&["account", "floor", "ceiling"]);
        for limit in limits {
            let asset = limit.account.asset();
            table.add_row([
                limit.account.to_string(),
                units.write_known(limit.floor, asset),
                units.write_known(limit.ceiling, asset),
            ]);
        }
        table
    })
}
