//! `tale epoch`: settled days.

mod correct;
mod explain;
mod hold;
mod list;
mod receivables;
mod show;
mod verify;

pub use show::{Shown, print as print_epoch};

use std::process::ExitCode;

use clap::{Args, Subcommand};
use tale_primitives::{Address, UtcDay};

use crate::{arguments::Global, failure::Failure};

/// Shows, checks and corrects settlement epochs: UTC days, their pools, rewards and roots.
#[derive(Debug, Args)]
pub struct Epoch {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists the epochs, by day.
    List,
    /// Shows one epoch with its rewards.
    Show {
        /// The UTC day, YYYY-MM-DD.
        day: UtcDay,
        /// Prints the manifest, the canonical JSON by which the epoch is checked from outside, and nothing else.
        #[arg(long)]
        manifest: bool,
    },
    /// Derives an epoch again from what is stored, and names the first discrepancy.
    ///
    /// Ends with code 1 where there is one.
    Verify {
        /// The UTC day, YYYY-MM-DD.
        day: UtcDay,
    },
    /// Explains where every unit of an account's reward came from.
    Explain {
        /// The account.
        account: Address,
        /// The UTC day, YYYY-MM-DD; the last epoch that is computed unless given.
        #[arg(long, value_name = "DAY")]
        epoch: Option<UtcDay>,
    },
    /// Keeps a day, and all after it, from being published and from becoming final.
    ///
    /// Claims fall back to the root of the day before it.
    Hold(hold::Hold),
    /// Lets a day go on that was held.
    Release(hold::Release),
    /// Records that an epoch paid an account too much: its later earnings repay that first.
    Correct(correct::Correct),
    /// Lists over-payments and what is left to repay.
    Receivables {
        /// Only those of this account.
        #[arg(long, value_name = "ADDRESS")]
        account: Option<Address>,
    },
}

impl Epoch {
    /// Does what was asked for.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        match &self.what {
            What::List => list::list(global).await?,
            What::Show { day, manifest } => show::show(global, *day, *manifest).await?,
            What::Verify { day } => return verify::verify(global, *day).await,
            What::Explain { account, epoch } => explain::explain(global, *account, *epoch).await?,
            What::Hold(hold) => hold.run(global).await?,
            What::Release(release) => release.run(global).await?,
            What::Correct(correct) => correct.run(global).await?,
            What::Receivables { account } => receivables::list(global, *account).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The failure of a command about a day that nobody has settled.
pub fn unsettled(day: UtcDay) -> Failure {
    Failure::new(format!("{day} has not been settled")).help(format!(
        "`tale settle {day}`, or `tale run nightly-settlement -p epoch={day}`, settles it; `tale epoch list` lists \
         the others"
    ))
}
