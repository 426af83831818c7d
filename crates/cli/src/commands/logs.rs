//! `tale logs`: what tasks have printed.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use tale_primitives::RunId;
use tale_queue::{LogLine, QueueError, read_logs, run_state};

use crate::{
    arguments::Global,
    failure::{Failure, UNUSABLE},
    installation::Installation,
    interrupt, output,
};

/// Prints what the tasks of a run and its sub-runs have printed.
#[derive(Debug, Args)]
pub struct Logs {
    /// The run's id.
    run: RunId,
    /// Only lines of this step.
    step: Option<String>,
    /// Goes on until the run ends.
    #[arg(short, long)]
    follow: bool,
}

/// Lines that are fetched at a time.
const BATCH: u32 = 1000;

impl Logs {
    /// Prints lines as they come.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let stop = interrupt::token()?;
        let installation = Installation::look(global, "tale logs").await?;
        let mut after = 0;
        loop {
            let mut connection = installation.connection().await?;
            let (state, _) = run_state(&mut connection, self.run).await.map_err(|error| match error {
                QueueError::UnknownRun(_) => {
                    Failure::of(&error).code(UNUSABLE).help("`tale runs` lists them")
                }
                error => error.into(),
            })?;
            let lines = read_logs(&mut connection, self.run, self.step.as_deref(), after, BATCH).await?;
            drop(connection);
            for line in &lines {
                after = line.id;
                print(global, line)?;
            }
            if lines.len() == BATCH as usize {
                continue;
            }
            if !self.follow || (state.has_ended() && lines.is_empty()) {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(300)) => {}
                () = stop.cancelled() => break,
            }
        }
        installation.close().await?;
        Ok(ExitCode::SUCCESS)
    }
}

fn print(global: &Global, line: &LogLine) -> Result<(), Failure> {
    match global.output {
        output::Format::Json => output::line(&serde_json::to_string(line)?),
        output::Format::Table => {
            let time = line.logged_at.format("%H:%M:%S%.3f");
            output::line(&format!("{time} {}[{}] {}", line.step, line.index, line.line))
        }
    }
}
