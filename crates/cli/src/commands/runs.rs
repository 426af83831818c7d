//! `tale runs`: what ran, and what runs.

use std::process::ExitCode;

use chrono::Utc;
use clap::Args;
use serde::Serialize;
use tale_primitives::RunId;
use tale_queue::{ArchivedRun, RunFilter, RunState, RunSummary, late_runs, list_archived_runs, list_runs};

use crate::{arguments::Global, failure::Failure, installation::Installation, output};

/// Lists runs, the newest first.
#[derive(Debug, Args)]
pub struct Runs {
    /// Only runs of this pipeline.
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// Only runs in this state: queued, running, succeeded, failed or cancelled.
    #[arg(long, value_parser = |text: &str| text.parse::<RunState>()
        .map_err(|_| "expected queued, running, succeeded, failed or cancelled"))]
    state: Option<RunState>,
    /// Sub-runs too.
    #[arg(long)]
    all: bool,
    /// Runs that were archived: `tale show` and `tale logs` read those too.
    #[arg(long)]
    archived: bool,
    /// At most this many.
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: u32,
}

/// A run, and whether it went on past its deadline.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    run: RunSummary,
    is_late: bool,
}

impl Runs {
    /// Prints the list.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale runs").await?;
        let filter = RunFilter {
            pipeline: self.pipeline.clone(),
            state: self.state,
            with_sub_runs: self.all,
            before: None,
            limit: self.limit,
        };
        let mut connection = installation.connection().await?;
        if self.archived {
            let runs = list_archived_runs(&mut connection, &filter).await?;
            drop(connection);
            output::write(global.output, &runs, |runs| archived_table(runs))?;
            installation.close().await?;
            return Ok(ExitCode::SUCCESS);
        }
        let runs = list_runs(&mut connection, &filter).await?;
        let ids: Vec<RunId> = runs.iter().map(|run| run.id).collect();
        let late = late_runs(&mut connection, &ids).await?;
        drop(connection);
        let runs: Vec<Listed> =
            runs.into_iter().map(|run| Listed { is_late: late.contains(&run.id), run }).collect();
        output::write(global.output, &runs, |runs| {
            let mut table =
                output::table(&["run", "pipeline", "state", "steps", "day", "started", "took", "by"]);
            for Listed { run, is_late } in runs {
                let ended = run.finished_at.unwrap_or_else(Utc::now);
                table.add_row([
                    run.id.to_string(),
                    run.pipeline.clone(),
                    format!("{}{}", run.state, if *is_late { ", late" } else { "" }),
                    format!("{}/{}", run.steps - i64::from(run.open_steps), run.steps),
                    run.logical_date.to_string(),
                    run.created_at.format("%Y-%m-%d %H:%M:%S").to_string(),
                    output::duration((ended - run.created_at).num_milliseconds() as f64 / 1000.0),
                    run.trigger.clone(),
                ]);
            }
            table
        })?;
        installation.close().await?;
        Ok(ExitCode::SUCCESS)
    }
}

fn archived_table(runs: &[ArchivedRun]) -> comfy_table::Table {
    let mut table =
        output::table(&["run", "pipeline", "state", "steps", "day", "started", "archived", "object", "by"]);
    for run in runs {
        table.add_row([
            run.id.to_string(),
            run.pipeline.clone(),
            run.state.to_string(),
            run.steps.to_string(),
            run.logical_date.to_string(),
            run.created_at.format("%Y-%m-%d %H:%M:%S").to_string(),
            run.archived_at.format("%Y-%m-%d %H:%M:%S").to_string(),
            run.object.digest.short(),
            run.trigger.clone(),
        ]);
    }
    table
}
