//! `tale withdrawals`: rewards that leave as tokens.

mod denials;
mod list;
mod payable;
mod request;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use tale_treasury::{TreasuryError, WithdrawalError};

use crate::{
    arguments::Global,
    failure::{Failure, UNUSABLE},
    installation::Installation,
};

/// Requests, cancels and lists withdrawals of rewards, and denies accounts.
#[derive(Debug, Args)]
pub struct Withdrawals {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Requests a withdrawal: the units wait from now on, and are paid in TALE when their time is over.
    Request(request::Request),
    /// Cancels a withdrawal that has not matured; its units go back.
    Cancel(request::Cancel),
    /// Lists withdrawals.
    List(list::List),
    /// Shows one withdrawal.
    Show(list::Show),
    /// Writes what each account may claim on the chain, as the lines that `tale claims tree` reads.
    Payable(payable::Payable),
    /// Denies the withdrawals of an account; those that have matured wait.
    Deny(denials::Deny),
    /// Allows the withdrawals of an account again.
    Allow(denials::Allow),
    /// Lists the accounts that are or were denied, and why.
    Denials,
}

impl Withdrawals {
    /// Does what was asked for.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale withdrawals").await?;
        let done = match &self.what {
            What::Request(request) => request.run(global, &installation).await,
            What::Cancel(cancel) => cancel.run(global, &installation).await,
            What::List(list) => list.run(global, &installation).await,
            What::Show(show) => show.run(global, &installation).await,
            What::Payable(payable) => payable.run(global, &installation).await,
            What::Deny(deny) => deny.run(global, &installation).await,
            What::Allow(allow) => allow.run(global, &installation).await,
            What::Denials => denials::list(global, &installation).await,
        };
        installation.close().await?;
        done.map(|()| ExitCode::SUCCESS)
    }
}

/// A key as an operator gives it.
fn key(text: &str) -> Result<String, &'static str> {
    match text.chars().count() {
        1..=100 => Ok(text.to_owned()),
        _ => Err("expected 1 to 100 characters"),
    }
}

/// The failure of a refused withdrawal, with what would help.
fn explain(error: TreasuryError) -> Failure {
    let TreasuryError::Withdrawal(reason) = &error else { return error.into() };
    let help = match reason {
        WithdrawalError::NotStarted => "`tale vesting start DAY` sets it",
        WithdrawalError::UnknownWithdrawal(_) => "`tale withdrawals list` lists them",
        WithdrawalError::KeyReused { .. } => "another withdrawal needs another key",
        WithdrawalError::UnknownRedemption { .. } => {
            "name one of them with --days, or none for the whole amount"
        }
        WithdrawalError::Denied { .. } => {
            "`tale withdrawals denials` lists them; `tale withdrawals allow` lifts one"
        }
        WithdrawalError::AlreadyInAccount(_) => "add --to chain",
        WithdrawalError::DayNotOver { .. } => "name an earlier day with --at, or none for yesterday",
        _ => return Failure::of(&error).code(UNUSABLE),
    };
    Failure::of(&error).code(UNUSABLE).help(help)
}
