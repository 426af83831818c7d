//! `tale logs`: what tasks have printed.

use std::{process::ExitCode, time::Duration};

use clap::{Args, value_parser};
use sqlx::PgConnection;
use tale_primitives::RunId;
use tale_queue::{LogFilter, LogLine, LogReader, QueueError, find_archived_run, run_state};

use crate::{
    arguments::Global,
    engine::archive_of,
    failure::{Failure, UNUSABLE},
    installation::Installation,
    interrupt, output,
};

/// Prints what the tasks of a run and its sub-runs have printed.
///
/// Lines of one attempt come in their order, those of several by their times. With JSON, each line is a document.
#[derive(Debug, Args)]
pub struct Logs {
    /// The run's id.
    run: RunId,
    /// Only lines of this step.
    #[arg(long, value_name = "NAME")]
    step: Option<String>,
    /// Only lines of the task with this place in its step's fan-out, from 0.
    #[arg(long, value_name = "N", value_parser = value_parser!(i32).range(0..))]
    task: Option<i32>,
    /// Only lines of this attempt at each task, from 1.
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    attempt: Option<u32>,
    /// Goes on until the run ends.
    #[arg(short, long)]
    follow: bool,
}

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(250);

impl Logs {
    /// Prints lines as they come.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let stop = interrupt::token()?;
        let installation = Installation::look(global, "tale logs").await?;
        let archive = archive_of(&installation);
        let filter = LogFilter { step: self.step.clone(), index: self.task, attempt_number: self.attempt };
        let mut reader = LogReader::new(self.run, filter);
        loop {
            let mut connection = installation.connection().await?;
            // first: what an attempt printed is there when its run has ended
            let has_ended = self.has_ended(&mut connection).await?;
            let given = reader.read(&mut connection, &*archive, |line| print(global, &line)).await?;
            drop(connection);
            if !self.follow || has_ended {
                break;
            }
            if given > 0 {
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => break,
            }
        }
        installation.close().await?;
        Ok(ExitCode::SUCCESS)
    }

    async fn has_ended(&self, connection: &mut PgConnection) -> Result<bool, Failure> {
        if find_archived_run(connection, self.run).await?.is_some() {
            return Ok(true);
        }
        match run_state(connection, self.run).await {
            Ok((state, _)) => Ok(state.has_ended()),
            Err(error @ QueueError::UnknownRun(_)) => Err(Failure::of(&error)
                .code(UNUSABLE)
                .help("`tale runs` lists them, `tale runs --archived` older ones")),
            Err(error) => Err(error.into()),
        }
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
