//! `tale cancel`: stops runs.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde_json::json;
use sqlx::Connection;
use tale_primitives::RunId;
use tale_queue::{RunState, notify_ready, request_cancellation, run_state, sweep_cancelled};

use crate::{
    arguments::Global,
    failure::{FAILED, Failure},
    installation::Installation,
    operator::audit,
    output,
};

/// Stops runs and their sub-runs: what waits never starts, and what runs is stopped within two seconds.
///
/// Steps with `finally: true` run all the same; cancelling a run that is doing them changes nothing.
#[derive(Debug, Args)]
pub struct Cancel {
    /// The runs.
    #[arg(required = true)]
    runs: Vec<RunId>,
}

#[derive(Serialize)]
struct Cancelled {
    run: RunId,
    was_running: bool,
    state: RunState,
}

impl Cancel {
    /// Stops, and says what had ended already; ends with code 1 where there was nothing to stop.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale cancel").await?;
        let mut connection = installation.connection().await?;
        let mut cancelled = Vec::new();
        for run in &self.runs {
            run_state(&mut connection, *run).await?;
            let mut transaction = connection.begin().await?;
            let was_running = request_cancellation(&mut transaction, *run).await?;
            if was_running {
                audit(&mut transaction, "run.cancel", &run.to_string(), &json!({})).await?;
            }
            transaction.commit().await?;
            cancelled.push((*run, was_running));
        }
        // a scheduler would do it too; so it is done at once, and where none is alive
        sweep_cancelled(&mut connection).await?;
        notify_ready(&mut connection).await?;
        let mut report = Vec::new();
        for (run, was_running) in cancelled {
            report.push(Cancelled { run, was_running, state: run_state(&mut connection, run).await?.0 });
        }
        drop(connection);
        installation.close().await?;
        output::write(global.output, &report, |report| {
            let mut table = output::table(&["run", "state", ""]);
            for line in report {
                let note = if line.was_running { "" } else { "there was nothing to stop" };
                table.add_row([line.run.to_string(), line.state.to_string(), note.to_owned()]);
            }
            table
        })?;
        let nothing = report.iter().all(|line| !line.was_running);
        Ok(if nothing { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
    }
}
