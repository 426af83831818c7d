//! `tale pause` and `tale resume`: holds back runs, pipelines and pools.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use tale_primitives::RunId;
use tale_queue::{
    QueueError, notify_ready, pause_run, resume_run, run_state, set_pipeline_paused, set_pool_paused,
};

use crate::{
    arguments::Global,
    failure::{Failure, UNUSABLE},
    installation::Installation,
    operator::audit,
    output,
};

/// Holds back a run, a pipeline's new runs, or a pool.
#[derive(Debug, Args)]
pub struct Pause {
    #[command(subcommand)]
    what: What,
}

/// Lets a run, a pipeline or a pool go on that was paused.
#[derive(Debug, Args)]
pub struct Resume {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A run: none of its tasks starts while it is paused; those that run end.
    Run {
        /// The run.
        run: RunId,
    },
    /// A pipeline: its new runs wait while it is paused; those that go on end.
    Pipeline {
        /// The pipeline's name.
        name: String,
    },
    /// A pool: its workers claim nothing while it is paused; what they run ends.
    Pool {
        /// The pool's name.
        name: String,
    },
}

#[derive(Serialize)]
struct Changed {
    what: &'static str,
    name: String,
    is_paused: bool,
    changed: bool,
}

impl Pause {
    /// Pauses.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        self.what.set(global, true).await
    }
}

impl Resume {
    /// Resumes.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        self.what.set(global, false).await
    }
}

impl What {
    async fn set(&self, global: &Global, is_paused: bool) -> Result<ExitCode, Failure> {
        let verb = if is_paused { "pause" } else { "resume" };
        let installation = Installation::look(global, &format!("tale {verb}")).await?;
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        let changed = self.apply(&mut transaction, is_paused).await?;
        let (what, name) = self.subject();
        if changed {
            audit(&mut transaction, &format!("{what}.{verb}"), &name, &json!({})).await?;
        }
        transaction.commit().await?;
        notify_ready(&mut connection).await?;
        drop(connection);
        installation.close().await?;
        let changed = Changed { what, name, is_paused, changed };
        match global.output {
            output::Format::Json => output::json(&changed)?,
            output::Format::Table => {
                let state = if is_paused { "paused" } else { "going on" };
                let already = if changed.changed { "" } else { " already" };
                output::line(&format!("{what} {} is {state}{already}", changed.name))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn apply(&self, connection: &mut PgConnection, is_paused: bool) -> Result<bool, Failure> {
        match self {
            Self::Run { run } => {
                let (state, _) = run_state(connection, *run).await?;
                if state.has_ended() {
                    return Err(Failure::new(format!("run {run} has {state}")).code(UNUSABLE));
                }
                Ok(match is_paused {
                    true => pause_run(connection, *run).await?,
                    false => resume_run(connection, *run).await?,
                })
            }
            Self::Pipeline { name } => {
                set_pipeline_paused(connection, name, is_paused).await?.ok_or_else(|| {
                    Failure::of(&QueueError::UnknownPipeline(name.clone()))
                        .code(UNUSABLE)
                        .help("`tale pipeline list` lists them")
                })
            }
            Self::Pool { name } => Ok(set_pool_paused(connection, name, is_paused).await?),
        }
    }

    fn subject(&self) -> (&'static str, String) {
        match self {
            Self::Run { run } => ("run", run.to_string()),
            Self::Pipeline { name } => ("pipeline", name.clone()),
            Self::Pool { name } => ("pool", name.clone()),
        }
    }
}
