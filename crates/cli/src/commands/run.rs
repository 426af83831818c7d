//! `tale run`: starts a run, and waits for it where that is asked for.

use std::{process::ExitCode, time::Duration};

use chrono::Utc;
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::Connection;
use tale_pipeline::{PipelineSpec, milliseconds};
use tale_primitives::{RunId, UtcDay};
use tale_queue::{
    Priority, QueueError, RunState, find_pipeline, list_workers, move_deadline, notify_ready, run_progress,
    run_state,
};
use tale_scheduler::{Trigger, start};
use tokio_util::sync::CancellationToken;

use crate::{
    arguments::Global,
    capacity::of_machine,
    commands::{pipeline::print_plan, show::describe_failures},
    engine::{Engine, EngineSettings, usual_slots},
    failure::{FAILED, Failure, UNUSABLE},
    installation::Installation,
    interrupt,
    operator::{audit, operator},
    output,
    params::ParamArguments,
    pipelines,
    progress::Progress,
};

/// Starts a run of a pipeline.
///
/// Where neither `tale up` nor a worker is at work, `--wait` runs it in this process.
#[derive(Debug, Args)]
pub struct Run {
    /// The pipeline's name.
    pipeline: String,
    #[command(flatten)]
    params: ParamArguments,
    /// Prints what the run would do, and starts nothing.
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
    /// Waits until the run ends, and ends with code 1 where it failed; otherwise the code says whether it was started.
    #[arg(long)]
    wait: bool,
    /// The UTC day that the run is about, YYYY-MM-DD; today unless given.
    #[arg(long, value_name = "DAY")]
    date: Option<UtcDay>,
    /// A run with this key is started once: another start with it returns the first run.
    #[arg(long, value_name = "KEY")]
    dedup_key: Option<String>,
    /// How urgent its tasks are; what has waited for a minute overtakes one step of urgency.
    #[arg(long, value_enum, default_value_t)]
    priority: Urgency,
    /// By when it is to have ended, such as 50m after its start; in place of its pipeline's deadline.
    #[arg(long, value_name = "DURATION", value_parser = duration_ms)]
    deadline: Option<u64>,
    /// Why it is started; the run and the audit log keep it.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Computes everything: takes no results that earlier runs kept, in sub-runs neither; keeps the new ones.
    #[arg(long)]
    no_cache: bool,
}

fn duration_ms(text: &str) -> Result<u64, &'static str> {
    milliseconds(text)
        .filter(|duration| *duration > 0)
        .ok_or("write a number and its unit: 30s, 50m or 1h30m")
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Urgency {
    Urgent,
    #[default]
    Normal,
    Background,
}

/// A run that was started, and how it is.
#[derive(Serialize)]
pub struct Started {
    pub run: RunId,
    pub is_new: bool,
    pub state: RunState,
    pub outputs: Option<Value>,
}

impl Run {
    /// A run of this pipeline that other commands start and wait for.
    pub fn awaited(pipeline: &str, params: Vec<String>, reason: Option<String>) -> Self {
        Self {
            pipeline: pipeline.to_owned(),
            params: ParamArguments { params, params_file: None },
            dry_run: false,
            wait: true,
            date: None,
            dedup_key: None,
            priority: Urgency::Normal,
            deadline: None,
            reason,
            no_cache: false,
        }
    }

    /// Starts, and perhaps waits.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let stop = interrupt::token()?;
        let installation = Installation::join(global, "tale run").await?;
        if self.dry_run {
            let spec = self.find(&installation).await?;
            installation.close().await?;
            print_plan(global.output, &spec, &self.params.read(&spec)?, self.date)?;
            return Ok(ExitCode::SUCCESS);
        }
        let ended = self.start(&installation, &stop).await;
        let (started, failures) = match ended {
            Ok(ended) => ended,
            Err(failure) => {
                installation.close().await?;
                return Err(failure);
            }
        };
        installation.close().await?;
        match global.output {
            output::Format::Json => output::json(&started)?,
            output::Format::Table => {
                let known = if started.is_new { "" } else { " (it was started before)" };
                output::line(&format!("run {} {}{known}", started.run, started.state))?;
                if let Some(outputs) = &started.outputs {
                    output::json(outputs)?;
                }
            }
        }
        if started.is_new && !self.wait {
            // it was to be started, and that it was: how fast it went on from there changes no exit code
            return Ok(ExitCode::SUCCESS);
        }
        if started.state == RunState::Failed {
            for failure in failures {
                eprintln!("{failure}");
            }
            eprintln!("help: `tale show {}` has the details", started.run);
            return Ok(ExitCode::from(FAILED));
        }
        if started.state == RunState::Cancelled {
            eprintln!("the run was cancelled");
            return Ok(ExitCode::from(FAILED));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Starts the run, and waits for it where that was asked for; with what failed, where something did.
    pub async fn start(
        &self,
        installation: &Installation,
        stop: &CancellationToken,
    ) -> Result<(Started, Vec<String>), Failure> {
        let spec = self.find(installation).await?;
        let params = self.params.read(&spec)?;
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        let trigger = Trigger {
            pipeline: self.pipeline.clone(),
            params,
            dedup_key: self.dedup_key.clone(),
            logical_date: self.date.unwrap_or_else(|| UtcDay::of(Utc::now())),
            priority: match self.priority {
                Urgency::Urgent => Priority::Urgent,
                Urgency::Normal => Priority::Normal,
                Urgency::Background => Priority::Background,
            },
            started_by: format!("tale run by {}", operator()),
            reason: self.reason.clone(),
            uses_cache: !self.no_cache,
            fire_time: None,
        };
        let started = start(&mut transaction, trigger).await?;
        if let (Some(after_ms), true) = (self.deadline, started.is_new) {
            move_deadline(&mut transaction, started.run, after_ms).await?;
        }
        if started.is_new {
            let details =
                json!({ "pipeline": self.pipeline, "params": self.params.params, "reason": self.reason });
            audit(&mut transaction, "run.start", &started.run.to_string(), &details).await?;
        }
        transaction.commit().await?;
        notify_ready(&mut connection).await?;
        let nobody_works = list_workers(&mut connection).await?.is_empty();
        drop(connection);
        if !self.wait {
            if nobody_works {
                eprintln!("no worker is alive: `tale up` will run it");
            }
        } else if nobody_works && installation.is_alone {
            let engine = Engine::start(installation, &EngineSettings::here());
            let waited = wait(installation, started.run, stop).await;
            engine.stop().await?;
            waited?;
        } else {
            if nobody_works {
                eprintln!("no worker is alive: waiting for one");
            }
            wait(installation, started.run, stop).await?;
        }
        let mut connection = installation.connection().await?;
        let (state, outputs) = run_state(&mut connection, started.run).await?;
        let failures = if state == RunState::Failed {
            describe_failures(&mut connection, started.run).await?
        } else {
            vec![]
        };
        Ok((Started { run: started.run, is_new: started.is_new, state, outputs }, failures))
    }

    /// The pipeline's current version; in an installation without pipelines, those of the usual place are applied.
    async fn find(&self, installation: &Installation) -> Result<PipelineSpec, Failure> {
        let mut connection = installation.connection().await?;
        let names: Vec<String> = tale_queue::list_pipelines(&mut connection)
            .await?
            .into_iter()
            .map(|version| version.name)
            .collect();
        if names.is_empty() {
            pipelines::apply(installation, &pipelines::sources(None)?).await?;
        }
        match find_pipeline(&mut connection, &self.pipeline).await {
            Ok(version) => Ok(PipelineSpec::from_json(version.spec)?),
            Err(error @ QueueError::UnknownPipeline(_)) => {
                let known: Vec<String> = tale_queue::list_pipelines(&mut connection)
                    .await?
                    .into_iter()
                    .map(|version| version.name)
                    .collect();
                Err(Failure::of(&error)
                    .code(UNUSABLE)
                    .help(format!("there are: {}; `tale apply DIR` adds others", known.join(", "))))
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl EngineSettings {
    /// A scheduler and a worker that last as long as one command.
    pub fn here() -> Self {
        Self {
            pools: vec![(tale_pipeline::DEFAULT_POOL.to_owned(), usual_slots())],
            has: of_machine(),
            scheduler: true,
            // whoever waits for one run did not ask for others
            schedules: false,
            lease: Duration::from_secs(15),
            grace: Duration::from_secs(2),
            secrets_dir: tale_worker::SecretSources::from_environment().directory,
            log_bytes_max: tale_worker::LOG_BYTES_MAX,
            metrics: None,
        }
    }
}

/// Waits until a run ends, showing how far it is.
pub async fn wait(
    installation: &Installation,
    run: RunId,
    stop: &CancellationToken,
) -> Result<RunState, Failure> {
    let progress = Progress::start();
    progress.stage(&format!("run {run}"));
    loop {
        let look = async {
            let mut connection = installation.database.acquire().await?;
            let (state, _) = run_state(&mut connection, run).await?;
            Ok::<_, QueueError>((state, run_progress(&mut connection, run).await?))
        };
        match look.await {
            Ok((state, _)) if state.has_ended() => return Ok(state),
            Ok((_, how_far)) => {
                let running = how_far.running.unwrap_or_default();
                progress
                    .update(&format!("{} of {} tasks done; {running}", how_far.tasks_done, how_far.tasks));
            }
            Err(error) if error.is_transient() => {
                progress.update("the database does not answer; waiting for it")
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
            () = stop.cancelled() => {
                return Err(interrupt::failure(&format!("run {run} stays in the queue and goes on with the next `tale up`")));
            }
        }
    }
}
