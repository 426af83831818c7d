//! `tale epoch correct`: what was paid too much.

use clap::Args;
use serde_json::json;
use sqlx::Connection;
use tale_primitives::{Address, Amount, UtcDay};
use tale_treasury::{NewCorrection, Receivable, list_receivables, record_correction};

use super::receivables;
use crate::{
    arguments::Global,
    failure::Failure,
    installation::Installation,
    operator::{audit, operator},
};

/// Records that an epoch paid an account too much: its later earnings repay that first.
///
/// Nothing is taken from the account, and no claim falls.
#[derive(Debug, Args)]
pub struct Correct {
    /// The epoch that paid too much, YYYY-MM-DD.
    day: UtcDay,
    /// Who was paid.
    #[arg(long, value_name = "ADDRESS")]
    account: Address,
    /// How much too much, in base units.
    #[arg(long, value_name = "UNITS")]
    over_paid: Amount,
    /// Why it was too much; the correction and the audit log keep it.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The correction's key: recording it again changes nothing.
    #[arg(long, value_name = "KEY")]
    key: String,
}

impl Correct {
    /// Records the correction and prints what the account owes.
    pub async fn run(&self, global: &Global) -> Result<(), Failure> {
        let installation = Installation::look(global, "tale epoch correct").await?;
        let done = self.record(&installation).await;
        installation.close().await?;
        receivables::print(global, &done?)
    }

    async fn record(&self, installation: &Installation) -> Result<Vec<Receivable>, Failure> {
        let correction = NewCorrection {
            correction: self.key.clone(),
            origin: self.day,
            owner: self.account,
            over_paid: self.over_paid,
            reason: self.reason.clone(),
            actor: operator(),
        };
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        if record_correction(&mut transaction, &correction).await? {
            let details = json!({
                "epoch": self.day,
                "account": self.account,
                "over_paid": self.over_paid,
                "reason": self.reason,
            });
            audit(&mut transaction, "epoch.correct", &self.key, &details).await?;
        }
        let owed = list_receivables(&mut transaction, Some(self.account)).await?;
        transaction.commit().await?;
        Ok(owed)
    }
}
