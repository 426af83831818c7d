//! `tale alerts`: runs that went on past their deadlines.

use std::process::ExitCode;

use clap::Args;
use tale_primitives::RunId;
use tale_queue::{AlertReport, list_alerts};

use crate::{arguments::Global, failure::Failure, installation::Installation, output};

/// Lists alerts, the newest first: runs that went on past the deadlines of their pipelines.
#[derive(Debug, Args)]
pub struct Alerts {
    /// Only alerts about this run.
    run: Option<RunId>,
    /// Only alerts about runs of this pipeline.
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u32,
}

impl Alerts {
    /// Prints the list.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale alerts").await?;
        let alerts = list_alerts(
            &mut *installation.connection().await?,
            self.run,
            self.pipeline.as_deref(),
            self.limit,
        )
        .await?;
        installation.close().await?;
        output::write(global.output, &alerts, |alerts| {
            let mut table = output::table(&["due", "run", "pipeline", "state", "late by", "then"]);
            for alert in alerts {
                table.add_row([
                    alert.due_at.format("%Y-%m-%d %H:%M:%S").to_string(),
                    alert.run.to_string(),
                    alert.pipeline.clone(),
                    alert.state.to_string(),
                    lateness(alert),
                    consequence(alert),
                ]);
            }
            table
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// How long after its deadline the run ended; nothing while it goes on.
pub fn lateness(alert: &AlertReport) -> String {
    alert.finished_at.map_or_else(String::new, |ended| {
        output::duration((ended - alert.due_at).num_milliseconds().max(0) as f64 / 1000.0)
    })
}

/// What the alert did beside being raised.
pub fn consequence(alert: &AlertReport) -> String {
    let stopped = alert.cancelled.then(|| "cancelled".to_owned());
    let hook = alert.hook_pipeline.as_ref().map(|pipeline| match (alert.hook_run, &alert.hook_error) {
        (Some(run), _) => format!("{pipeline}: run {run}"),
        (None, Some(error)) => format!("{pipeline} could not start: {error}"),
        (None, None) => pipeline.clone(),
    });
    stopped.into_iter().chain(hook).collect::<Vec<_>>().join("; ")
}
