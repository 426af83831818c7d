//! `tale sales`: the sale of licences, in rounds.

mod buying;
mod rounds;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use tale_monetization::SaleError;

use crate::{
    arguments::Global,
    failure::{Failure, UNUSABLE},
    installation::Installation,
};

/// Sells licences of generators in rounds.
#[derive(Debug, Args)]
pub struct Sales {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists the rounds: when they sell, for how much, to whom, and what they have left.
    Rounds,
    /// Says when a round sells; a round that has begun keeps its times.
    Schedule(rounds::Schedule),
    /// Puts a wallet on a special list.
    Allow(rounds::Allow),
    /// Shows what a wallet may buy of each round.
    Eligibility(rounds::WhoMay),
    /// Holds licences for a buyer for some minutes.
    Reserve(buying::Reserve),
    /// Takes the payment of a reservation, and issues its licences.
    Pay(buying::Pay),
    /// Gives up a reservation, or takes the money of a paid purchase back while that is allowed.
    Cancel(buying::Cancel),
    /// Shows a purchase, or every purchase of a wallet.
    Show(buying::Show),
}

impl Sales {
    /// Does what was asked for.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale sales").await?;
        let done = match &self.what {
            What::Rounds => rounds::list(global, &installation).await,
            What::Schedule(schedule) => schedule.run(global, &installation).await,
            What::Allow(allow) => allow.run(global, &installation).await,
            What::Eligibility(who) => who.run(global, &installation).await,
            What::Reserve(reserve) => reserve.run(global, &installation).await,
            What::Pay(pay) => pay.run(global, &installation).await,
            What::Cancel(cancel) => cancel.run(global, &installation).await,
            What::Show(show) => show.run(global, &installation).await,
        };
        installation.close().await?;
        done.map(|()| ExitCode::SUCCESS)
    }
}

/// The failure of a refused step, with what would help.
fn explain(error: SaleError) -> Failure {
    let help = match &error {
        SaleError::RoundNotOpen { .. } | SaleError::UnknownRound(_) | SaleError::SoldOut { .. } => {
            "`tale sales rounds` lists the rounds and what they have left"
        }
        SaleError::NotEligible { buyer, .. } | SaleError::OverLimit { buyer, .. } => {
            let help = format!("`tale sales eligibility {buyer}` shows what this wallet may buy");
            return Failure::of(&error).help(help);
        }
        SaleError::KeyReused(_) => "another purchase needs another key",
        SaleError::UnknownPurchase(_) => {
            "`tale sales reserve` makes a purchase; `tale sales show WALLET` lists those of a wallet"
        }
        SaleError::Expired { .. } | SaleError::NotPayable { .. } => {
            "send the payment back; `tale sales reserve` with another key reserves again"
        }
        SaleError::RoundEndsFirst { .. } | SaleError::NoSpecialList | SaleError::TextLength { .. } => {
            return Failure::of(&error).code(UNUSABLE);
        }
        _ => return Failure::of(&error),
    };
    Failure::of(&error).help(help)
}
