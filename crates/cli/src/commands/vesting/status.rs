//! `tale vesting status`: what is due, and what is in the ledger.

use std::process::ExitCode;

use clap::Args;
use tale_primitives::UtcDay;
use tale_treasury::{VestingStatus, today, vesting_status};

use super::{not_started, schedule::released_by};
use crate::{
    amounts::Tokens,
    arguments::Global,
    failure::{FAILED, Failure},
    installation::Installation,
    output,
};

/// Shows what is due and what is in the ledger, pool by pool; ends with code 1 where a release is missing.
#[derive(Debug, Args)]
pub struct Status {
    /// As of the end of this day, YYYY-MM-DD; today unless given.
    #[arg(long, value_name = "DAY")]
    at: Option<UtcDay>,
}

impl Status {
    /// Reads and prints.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale vesting status").await?;
        let found = self.find(&installation).await;
        installation.close().await?;
        let status = found?.ok_or_else(not_started)?;
        match global.output {
            output::Format::Json => output::json(&status)?,
            output::Format::Table => print(&status)?,
        }
        let waiting = status.pools.iter().any(|pool| pool.waiting > 0);
        Ok(if waiting { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
    }

    async fn find(&self, installation: &Installation) -> Result<Option<VestingStatus>, Failure> {
        let mut connection = installation.connection().await?;
        let day = match self.at {
            Some(day) => day,
            None => today(&mut connection).await?,
        };
        Ok(vesting_status(&mut connection, day).await?)
    }
}

fn print(status: &VestingStatus) -> Result<(), Failure> {
    let tokens = Tokens::current()?;
    let headings = ["pool", "allocation", "due", "posted", "waiting", "next on", "next", "by"];
    let mut table = output::table(&headings);
    for pool in &status.pools {
        let next = pool.next.as_ref().map(|release| release.part);
        table.add_row([
            pool.pool.to_string(),
            tokens.write(pool.allocation),
            tokens.write(pool.due),
            tokens.write(pool.posted),
            pool.waiting.to_string(),
            next.map(|part| part.day.to_string()).unwrap_or_default(),
            tokens.write_known(next.map(|part| part.amount)),
            released_by(pool.monthly_parts).to_owned(),
        ]);
    }
    output::line(&table.to_string())?;
    let waiting: u32 = status.pools.iter().map(|pool| pool.waiting).sum();
    let verdict = match waiting {
        0 => "every due release is in the ledger".to_owned(),
        1 => "1 due release is not in the ledger: `tale run nightly-vesting` posts it".to_owned(),
        count => format!("{count} due releases are not in the ledger: `tale run nightly-vesting` posts them"),
    };
    output::line(&format!("started on {}, by {}: {verdict}", status.start, status.day))
}
