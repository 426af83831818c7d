//! `tale settle`: closes one day.

use std::process::ExitCode;

use chrono::Utc;
use clap::Args;
use serde::Serialize;
use sqlx::Connection;
use tale_primitives::{RunId, UtcDay};
use tale_queue::RunState;
use tale_treasury::settle_epoch;

use super::{
    epoch::{Shown, print_epoch},
    run::Run,
};
use crate::{
    arguments::Global,
    failure::{FAILED, Failure},
    installation::Installation,
    interrupt, output,
};

/// The pipeline that closes a day.
const PIPELINE: &str = "nightly-settlement";

/// Settles one UTC day by the pipeline `nightly-settlement`, and shows what came of it.
///
/// Settling a day again changes nothing. Where neither `tale up` nor a worker is at work, this process runs it.
#[derive(Debug, Args)]
pub struct Settle {
    /// The UTC day, YYYY-MM-DD.
    day: UtcDay,
    /// Shows what would come of it, and changes nothing.
    #[arg(long)]
    dry_run: bool,
    /// Why it is settled now; the run and the audit log keep it.
    #[arg(long, value_name = "TEXT", conflicts_with = "dry_run")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Report {
    dry_run: bool,
    run: Option<RunId>,
    changed: bool,
    #[serde(flatten)]
    shown: Shown,
}

impl Settle {
    /// Settles, or looks what would come of it.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        if self.day >= UtcDay::of(Utc::now()) {
            eprintln!(
                "{} has not ended in UTC: what is earned after this belongs to the next epoch",
                self.day
            );
        }
        if self.dry_run {
            let installation = Installation::look(global, "tale settle --dry-run").await?;
            let report = self.rehearse(&installation).await;
            installation.close().await?;
            return print(global, &report?);
        }
        let stop = interrupt::token()?;
        let installation = Installation::join(global, "tale settle").await?;
        let run = Run::awaited(PIPELINE, vec![format!("epoch={}", self.day)], self.reason.clone());
        let settled = match run.start(&installation, &stop).await {
            Ok((started, failures)) if started.state == RunState::Succeeded => self
                .look(&installation, started.run, &started.outputs.unwrap_or_default())
                .await
                .map(|report| (report, failures)),
            Ok((started, failures)) => {
                failures.iter().for_each(|failure| eprintln!("{failure}"));
                Err(Failure::new(format!(
                    "run {} {}: {} is not settled",
                    started.run, started.state, self.day
                ))
                .code(FAILED)
                .help(format!("`tale show {}` has the details; settling again goes on there", started.run)))
            }
            Err(failure) => Err(failure),
        };
        installation.close().await?;
        print(global, &settled?.0)
    }

    async fn look(
        &self,
        installation: &Installation,
        run: RunId,
        outputs: &serde_json::Value,
    ) -> Result<Report, Failure> {
        let shown = Shown::find(&mut *installation.connection().await?, self.day).await?;
        let shown = shown.ok_or_else(|| Failure::new(format!("run {run} left no epoch {}", self.day)))?;
        Ok(Report { dry_run: false, run: Some(run), changed: outputs["changed"] == true, shown })
    }

    /// Settles in a transaction that is rolled back.
    async fn rehearse(&self, installation: &Installation) -> Result<Report, Failure> {
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        let settled = settle_epoch(&mut transaction, self.day).await?;
        let shown = Shown::find(&mut transaction, self.day).await?;
        transaction.rollback().await?;
        let shown = shown.unwrap_or(Shown { epoch: settled.epoch, result: None });
        Ok(Report { dry_run: true, run: None, changed: settled.changed, shown })
    }
}

fn print(global: &Global, report: &Report) -> Result<ExitCode, Failure> {
    if global.output == output::Format::Json {
        output::json(report)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(match (report.dry_run, report.changed) {
        (true, true) => "this is what settling would come to; nothing was changed",
        (true, false) => "it is settled already: settling would change nothing",
        (false, true) => "settled",
        (false, false) => "it was settled already: nothing changed",
    })?;
    if let Some(run) = report.run {
        output::line(&format!("run {run}"))?;
    }
    print_epoch(&report.shown)?;
    Ok(ExitCode::SUCCESS)
}
