//! `tale staking`: stakes, their rewards, and what the network publishes about them.

mod list;
mod positions;
mod status;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;
use sqlx::Connection;
use tale_primitives::Amount;
use tale_treasury::{StakingError, TreasuryError, fund_staking};

use crate::{
    amounts::{self, Tokens},
    arguments::Global,
    failure::{Failure, UNUSABLE},
    installation::Installation,
    operator::audit,
    output,
};

/// Stakes TALE, takes stakes out, and shows what the network publishes about them.
#[derive(Debug, Args)]
pub struct Staking {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Opens a position: so much of an owner's TALE is staked, flexible or locked.
    Stake(positions::Stake),
    /// Takes a position out, with its rewards; before the end of its lock only with --early, at a price.
    Unstake(positions::Unstake),
    /// Lists positions and what has accrued to them.
    List(list::List),
    /// Shows total locked, its part of the circulating supply, total voting weight, average lock and the flexible rate.
    Status,
    /// Moves a part of the Community Growth Fund into the budget that rewards are paid from.
    Fund(Fund),
}

#[derive(Debug, Args)]
struct Fund {
    /// How much, in whole tokens.
    #[arg(value_parser = amounts::parse)]
    amount: Amount,
    /// A name for it: the same key never moves anything twice.
    #[arg(long, value_name = "KEY", value_parser = key)]
    key: String,
}

impl Staking {
    /// Does what was asked for.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale staking").await?;
        let done = match &self.what {
            What::Stake(stake) => stake.run(global, &installation).await,
            What::Unstake(unstake) => unstake.run(global, &installation).await,
            What::List(list) => list.run(global, &installation).await,
            What::Status => status::run(global, &installation).await,
            What::Fund(fund) => fund.run(global, &installation).await,
        };
        installation.close().await?;
        done.map(|()| ExitCode::SUCCESS)
    }
}

impl Fund {
    async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        let posted = fund_staking(&mut transaction, &self.key, self.amount).await?;
        if !posted.already_posted {
            audit(&mut transaction, "staking.fund", &self.key, &json!({ "amount": self.amount })).await?;
        }
        transaction.commit().await?;
        let changed = !posted.already_posted;
        match global.output {
            output::Format::Json => output::json(
                &json!({ "amount": self.amount, "journal_id": posted.journal_id, "changed": changed }),
            ),
            output::Format::Table => {
                let amount = Tokens::current()?.write(self.amount);
                let how = if changed { "moved" } else { "had been moved already" };
                output::line(&format!(
                    "{amount} TALE {how} into the budget, by journal {}",
                    posted.journal_id
                ))
            }
        }
    }
}

/// A key as an operator gives it.
fn key(text: &str) -> Result<String, &'static str> {
    match text.chars().count() {
        1..=100 => Ok(text.to_owned()),
        _ => Err("expected 1 to 100 characters"),
    }
}

/// The failure of a refused stake or exit, with what would help.
fn explain(error: TreasuryError) -> Failure {
    let TreasuryError::Staking(reason) = &error else { return error.into() };
    let help = match reason {
        StakingError::Locked { .. } => {
            "--early leaves before that, at a price; see crates/treasury/README.md"
        }
        StakingError::UnknownPosition(_) => "`tale staking list` lists the positions",
        StakingError::UnknownTerm { .. } => "the ruleset has locks of 60, 120 and 360 days",
        StakingError::KeyReused { .. } => "another stake needs another key",
        StakingError::DayAccrued { .. } => "name a later day with --on, or none for today",
        _ => return Failure::of(&error).code(UNUSABLE),
    };
    Failure::of(&error).code(UNUSABLE).help(help)
}

/// Millionths as a percentage, exactly: 79840 is `7.984 %`.
fn percent(ppm: impl Into<u64>) -> String {
    let ppm = ppm.into();
    let (whole, rest) = (ppm / 10_000, ppm % 10_000);
    match rest {
        0 => format!("{whole} %"),
        rest => format!("{whole}.{} %", format!("{rest:04}").trim_end_matches('0')),
    }
}
