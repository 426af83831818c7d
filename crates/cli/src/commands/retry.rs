//! `tale retry`: runs what did not end well again.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde_json::json;
use sqlx::Connection;
use tale_primitives::RunId;
use tale_queue::{Again, find_archived_run, notify_ready, retry_run, run_state};

use crate::{
    arguments::Global,
    failure::{FAILED, Failure, UNUSABLE},
    installation::Installation,
    operator::audit,
    output,
};

/// Runs the steps of an ended run again that did not end well, and everything after them.
///
/// Lists that were found at run time are found anew. Steps that ended well and need nothing that runs again keep
/// their outputs.
#[derive(Debug, Args)]
pub struct Retry {
    /// The run.
    run: RunId,
    /// This step again too, although it ended well; repeat for more.
    #[arg(long, value_name = "STEP")]
    from: Vec<String>,
    /// Of fan-outs that have run, only the tasks that failed.
    #[arg(long)]
    only_failed: bool,
}

#[derive(Serialize)]
struct Retried {
    run: RunId,
    steps: u32,
}

impl Retry {
    /// Runs it again; ends with code 1 where there is nothing to run again.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale retry").await?;
        let mut connection = installation.connection().await?;
        if find_archived_run(&mut connection, self.run).await?.is_some() {
            return Err(Failure::new(format!("run {} is archived: nothing of it can run again", self.run))
                .code(UNUSABLE)
                .help("`tale run` starts another"));
        }
        let (state, _) = run_state(&mut connection, self.run).await?;
        if !state.has_ended() {
            return Err(Failure::new(format!("run {} is {state}", self.run))
                .code(UNUSABLE)
                .help("wait until it has ended, or stop it with `tale cancel`"));
        }
        let again = Again { from: self.from.clone(), only_failed: self.only_failed };
        let mut transaction = connection.begin().await?;
        let steps = retry_run(&mut transaction, self.run, &again).await?;
        if steps > 0 {
            let details = json!({ "from": self.from, "only_failed": self.only_failed, "steps": steps });
            audit(&mut transaction, "run.retry", &self.run.to_string(), &details).await?;
        }
        transaction.commit().await?;
        notify_ready(&mut connection).await?;
        drop(connection);
        installation.close().await?;
        match global.output {
            output::Format::Json => output::json(&Retried { run: self.run, steps })?,
            output::Format::Table if steps == 0 => {
                eprintln!("every step of run {} ended well: name one with --from", self.run);
            }
            output::Format::Table => output::line(&format!("run {}: {steps} steps run again", self.run))?,
        }
        Ok(if steps == 0 { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
    }
}
