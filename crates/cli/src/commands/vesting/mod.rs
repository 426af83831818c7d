//! `tale vesting`: what the nine pools release, and when.

mod schedule;
mod status;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;
use sqlx::Connection;
use tale_primitives::UtcDay;
use tale_treasury::{TreasuryError, set_token_start};

use crate::{
    arguments::Global,
    failure::{Failure, UNUSABLE},
    installation::Installation,
    operator::audit,
    output,
};

/// Shows the vesting table, its releases, and which of them are in the ledger.
#[derive(Debug, Args)]
pub struct Vesting {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists the releases of the vesting table, or what is released by a day.
    Schedule(schedule::Schedule),
    /// Sets the day of the token's generation, once and for good: vesting and the withdrawal rules count from it.
    Start {
        /// The UTC day, YYYY-MM-DD.
        day: UtcDay,
    },
    /// Shows what is due and what is in the ledger, pool by pool; ends with code 1 where a release is missing.
    Status(status::Status),
}

impl Vesting {
    /// Does what was asked for.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        match &self.what {
            What::Schedule(schedule) => schedule.run(global).await?,
            What::Start { day } => start(global, *day).await?,
            What::Status(status) => return status.run(global).await,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn start(global: &Global, day: UtcDay) -> Result<(), Failure> {
    let installation = Installation::look(global, "tale vesting start").await?;
    let set = set(&installation, day).await;
    installation.close().await?;
    let changed = set?;
    match global.output {
        output::Format::Json => output::json(&json!({ "start": day, "changed": changed })),
        output::Format::Table if changed => output::line(&format!("the token starts on {day}")),
        output::Format::Table => output::line(&format!("the token starts on {day}, as was set before")),
    }
}

async fn set(installation: &Installation, day: UtcDay) -> Result<bool, Failure> {
    let mut connection = installation.connection().await?;
    let mut transaction = connection.begin().await?;
    let set = set_token_start(&mut transaction, day).await.map_err(|error| match error {
        TreasuryError::TokenStarted { .. } => Failure::of(&error).code(UNUSABLE).help(
            "releases count from the day that is set, and it is set once; `tale vesting status` shows it",
        ),
        error => error.into(),
    })?;
    if set.changed {
        audit(&mut transaction, "vesting.start", &day.to_string(), &json!({})).await?;
    }
    transaction.commit().await?;
    Ok(set.changed)
}

/// The failure of an installation in which the first day is not set.
fn not_started() -> Failure {
    Failure::new("the day of the token's generation is not set")
        .code(UNUSABLE)
        .help("`tale vesting start DAY` sets it; `tale vesting schedule --start DAY` only computes")
}
