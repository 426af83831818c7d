//! `tale withdrawals deny`, `allow` and `denials`: accounts whose withdrawals wait.

use clap::Args;
use serde_json::json;
use sqlx::Connection;
use tale_primitives::Address;
use tale_treasury::{allow_account, deny_account, list_denials};

use super::explain;
use crate::{arguments::Global, failure::Failure, installation::Installation, operator::audit, output};

/// Denies the withdrawals of an account; those that have matured wait.
#[derive(Debug, Args)]
pub struct Deny {
    /// The account.
    account: Address,
    /// Why; whoever asks is told.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Allows the withdrawals of an account again.
#[derive(Debug, Args)]
pub struct Allow {
    /// The account.
    account: Address,
}

impl Deny {
    /// Denies, and records who did.
    pub async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        let changed = deny_account(&mut transaction, self.account, &self.reason).await.map_err(explain)?;
        if changed {
            let details = json!({ "reason": self.reason });
            audit(&mut transaction, "withdrawals.deny", &self.account.to_string(), &details).await?;
        }
        transaction.commit().await?;
        say(global, self.account, changed, if changed { "denied" } else { "denied already" })
    }
}

impl Allow {
    /// Allows, and records who did.
    pub async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        let changed = allow_account(&mut transaction, self.account).await?;
        if changed {
            audit(&mut transaction, "withdrawals.allow", &self.account.to_string(), &json!({})).await?;
        }
        transaction.commit().await?;
        say(global, self.account, changed, if changed { "allowed again" } else { "not denied" })
    }
}

/// Lists every denial.
pub async fn list(global: &Global, installation: &Installation) -> Result<(), Failure> {
    let denials = list_denials(&mut *installation.connection().await?).await?;
    output::write(global.output, &denials, |denials| {
        let mut table = output::table(&["account", "reason", "denied", "lifted"]);
        let time = |at: chrono::DateTime<chrono::Utc>| at.format("%Y-%m-%d %H:%M:%S").to_string();
        for denial in denials {
            table.add_row([
                denial.account.to_string(),
                denial.reason.clone(),
                time(denial.denied_at),
                denial.lifted_at.map(time).unwrap_or_default(),
            ]);
        }
        table
    })
}

fn say(global: &Global, account: Address, changed: bool, how: &str) -> Result<(), Failure> {
    match global.output {
        output::Format::Json => output::json(&json!({ "account": account, "changed": changed })),
        output::Format::Table => output::line(&format!("withdrawals of {account}: {how}")),
    }
}
