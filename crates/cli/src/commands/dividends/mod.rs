//! `tale dividends`: divided days, and who holds what.

mod holdings;
mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use tale_monetization::{explain_dividends, list_dividend_epochs};
use tale_primitives::{Address, UtcDay};

use crate::{arguments::Global, failure::Failure, installation::Installation, money::Money, output};

/// Shows what works earned and who has it, and records who holds them.
#[derive(Debug, Args)]
pub struct Dividends {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists the divided days.
    List,
    /// Shows one divided day: its files, sums, lines and journals.
    Show {
        /// The UTC day, YYYY-MM-DD.
        day: UtcDay,
    },
    /// Explains every dividend of a holder: which work, which day, which part of what.
    Explain {
        /// The holder's address.
        account: Address,
        /// Only those that this day has paid.
        #[arg(long, value_name = "DAY")]
        epoch: Option<UtcDay>,
    },
    /// Lists who held a work at the end of a day.
    Holders(holdings::Holders),
    /// Records changes of holdings from a CSV file, all or none; recording them again changes nothing.
    Record(holdings::RecordFile),
}

impl Dividends {
    /// Does what was asked for.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale dividends").await?;
        let done = match &self.what {
            What::List => list(global, &installation).await,
            What::Show { day } => show::run(global, &installation, *day).await,
            What::Explain { account, epoch } => explain(global, &installation, *account, *epoch).await,
            What::Holders(holders) => holders.run(global, &installation).await,
            What::Record(file) => file.run(global, &installation).await,
        };
        installation.close().await?;
        done.map(|()| ExitCode::SUCCESS)
    }
}

async fn list(global: &Global, installation: &Installation) -> Result<(), Failure> {
    let epochs = list_dividend_epochs(&mut *installation.connection().await?).await?;
    output::write(global.output, &epochs, |epochs| {
        let mut table = output::table(&["day", "ruleset", "events", "result", "posted"]);
        for epoch in epochs {
            table.add_row([
                epoch.day.to_string(),
                epoch.ruleset.to_string(),
                epoch.events.to_string(),
                epoch.result_digest.short(),
                epoch.posted_at.format("%Y-%m-%d %H:%M:%S").to_string(),
            ]);
        }
        table
    })
}

async fn explain(
    global: &Global,
    installation: &Installation,
    account: Address,
    epoch: Option<UtcDay>,
) -> Result<(), Failure> {
    let mut connection = installation.connection().await?;
    let dividends = explain_dividends(&mut connection, account, epoch).await?;
    let money = Money::registered(&mut connection).await?;
    output::write(global.output, &dividends, |dividends| {
        let mut table = output::table(&[
            "paid by",
            "earned on",
            "work",
            "kind",
            "gross",
            "fee",
            "network",
            "holders",
            "units",
            "of",
            "amount",
            "asset",
        ]);
        for one in dividends {
            let amount = |amount| money.write(amount, &one.asset);
            table.add_row([
                one.epoch.to_string(),
                one.origin.to_string(),
                one.work.to_string(),
                one.kind.to_string(),
                amount(one.gross),
                amount(one.fee),
                amount(one.network),
                amount(one.distributed),
                one.units.to_string(),
                one.units_total.to_string(),
                amount(one.amount),
                one.asset.to_string(),
            ]);
        }
        table
    })
}
