//! `tale dividends holders` and `record`: who holds works.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Deserialize;
use serde_json::json;
use sqlx::Connection;
use tale_monetization::{MonetizationError, NewHolding, WorkId, holders_of, record_holdings};
use tale_primitives::{Address, UtcDay};

use crate::{
    arguments::Global,
    failure::{Failure, UNUSABLE},
    installation::Installation,
    operator::audit,
    output,
};

#[derive(Debug, Args)]
pub struct Holders {
    /// The work.
    work: WorkId,
    /// The UTC day at whose end they held it; today unless given.
    #[arg(long, value_name = "DAY")]
    day: Option<UtcDay>,
}

#[derive(Debug, Args)]
pub struct RecordFile {
    /// The file: `work,holder,valid_from,units`, one change a line; units of 0 mean none any more.
    file: PathBuf,
}

/// A line of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    work: WorkId,
    holder: Address,
    valid_from: DateTime<Utc>,
    units: u128,
}

impl Holders {
    pub async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let day = self.day.unwrap_or_else(|| UtcDay::of(Utc::now()));
        let holders = holders_of(&mut *installation.connection().await?, &self.work, day).await?;
        output::write(global.output, &holders, |holders| {
            let mut table = output::table(&["holder", "units"]);
            for held in holders {
                table.add_row([held.holder.to_string(), held.units.to_string()]);
            }
            table
        })
    }
}

impl RecordFile {
    pub async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let holdings = self.read()?;
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        let new = record_holdings(&mut transaction, &holdings).await.map_err(|error| match error {
            MonetizationError::HoldingDiffers { .. } => Failure::of(&error)
                .code(UNUSABLE)
                .help("a change is corrected by another one, from a later instant on"),
            error => error.into(),
        })?;
        if new > 0 {
            let details = json!({ "changes": holdings.len(), "new": new });
            audit(&mut transaction, "dividends.record", &self.file.display().to_string(), &details).await?;
        }
        transaction.commit().await?;
        match global.output {
            output::Format::Json => output::json(&json!({ "changes": holdings.len(), "new": new })),
            output::Format::Table => {
                output::line(&format!("{} changes of holdings, {new} of them new", holdings.len()))
            }
        }
    }

    fn read(&self) -> Result<Vec<NewHolding>, Failure> {
        let refuse = |error: csv::Error| {
            let line = error.position().map_or(0, csv::Position::line);
            let place = if line > 0 {
                format!("{}, line {line}", self.file.display())
            } else {
                self.file.display().to_string()
            };
            Failure::new(format!("{place}: {error}"))
                .code(UNUSABLE)
                .help("a line is work,holder,valid_from,units, such as work-1,0x…,2026-01-31T12:00:00Z,100")
        };
        let mut reader =
            csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(&self.file).map_err(refuse)?;
        reader
            .deserialize()
            .map(|line| {
                let Line { work, holder, valid_from, units } = line.map_err(refuse)?;
                Ok(NewHolding { work, holder, valid_from, units })
            })
            .collect()
    }
}
