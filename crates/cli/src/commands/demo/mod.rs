//! `tale demo`: from nothing to a settled epoch.

mod identity;
mod results;
mod summary;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use chrono::Utc;
use clap::Args;
use serde_json::{Map, Value, json};
use sqlx::Connection;
use tale_database::DataDirectory;
use tale_primitives::{RunId, UtcDay};
use tale_queue::{Priority, QueueError, RunState, Wake, child_runs, run_progress, run_report, run_state};
use tale_scheduler::{Trigger, start};
use tale_storage::{ImportRequest, import};
use tokio_util::sync::CancellationToken;

use self::{identity::Identity, results::Results};
use crate::{
    arguments::Global,
    commands::show::describe_failures,
    engine::{Engine, EngineSettings},
    failure::Failure,
    installation::{Installation, base_directory},
    interrupt, output, pipelines,
    progress::Progress,
    report,
};

/// Trains, validates and settles a small network on this machine, from nothing.
///
/// Twelve participants train a classifier of fashion images for five rounds. One of them poisons its updates and one
/// copies another's; Proof of Validation finds both. Then the day is settled, twice, to show that the second time
/// changes nothing. An interrupted demo goes on where it stopped when it is started again.
#[derive(Debug, Args)]
pub struct Demo {
    /// What every random number is drawn from: the same seed gives the same model and the same root.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: u64,
    /// How many rounds are trained.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// The ten honest participants alone, everything else the same.
    #[arg(long)]
    no_attackers: bool,
    /// Plain averaging of every update, without validation.
    #[arg(long)]
    no_pov: bool,
    /// How many tasks run at a time; one for each processor unless given. The result does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    slots: Option<u32>,
}

/// The images that the repository carries, for a binary that runs far from it.
const FASHION: &[u8] = include_bytes!("../../../../../pipelines/datasets/fashion.parquet");
/// The name under which they are imported.
const DATASET: &str = "fashion";

impl Demo {
    /// Runs the demo.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let began = Instant::now();
        let stop = interrupt::token()?;
        let mut global = global.clone();
        global.data_dir = Some(match global.data_dir {
            Some(directory) => directory,
            None => base_directory()?.join(self.folder()),
        });
        let directory = DataDirectory::open(global.data_dir.as_deref().unwrap_or(Path::new(".")))?;
        let progress = Progress::start();
        progress
            .stage(&format!("starting PostgreSQL and the object store in {}", directory.path().display()));
        let installation = tokio::select! {
            installation = Installation::embedded(&global, "tale demo") => installation?,
            () = stop.cancelled() => return Err(interrupt::failure("nothing had been started yet")),
        };
        Identity::of(self).claim(directory.path())?;
        let results = self.everything(&installation, &progress, &stop).await;
        let closed = installation.close().await;
        progress.finish();
        let results = results?;
        closed?;
        self.present(&global, &results, directory.path(), began.elapsed().as_secs_f64())
    }

    async fn everything(
        &self,
        installation: &Installation,
        progress: &Progress,
        stop: &CancellationToken,
    ) -> Result<Results, Failure> {
        progress.stage("applying pipelines");
        pipelines::apply(installation, &pipelines::sources(None)?).await?;
        progress.stage("importing images");
        self.import(installation, progress).await?;
        let mut settings = EngineSettings::here();
        if let Some(slots) = self.slots {
            settings.pools = vec![(tale_pipeline::DEFAULT_POOL.to_owned(), slots)];
        }
        let engine = Engine::start(installation, &settings);
        let results = tokio::select! {
            results = self.train_and_settle(installation, &engine.wake, progress) => results,
            () = stop.cancelled() => Err(interrupt::failure("start the demo again and it goes on where it stopped")),
        };
        progress.stage("stopping");
        engine.stop().await?;
        results
    }

    async fn train_and_settle(
        &self,
        installation: &Installation,
        wake: &Wake,
        progress: &Progress,
    ) -> Result<Results, Failure> {
        let training =
            self.start(installation, wake, "federated-training", "demo", None, self.params()).await?;
        follow(installation, training, progress, "training").await?;
        let day = run_report(&mut *installation.connection().await?, training).await?.logical_date;
        let mut settlements = Vec::new();
        for (key, what) in [("demo/first", "settling the day"), ("demo/again", "settling the day again")] {
            let run =
                self.start(installation, wake, "nightly-settlement", key, Some(day), Map::new()).await?;
            settlements.push(follow(installation, run, progress, what).await?);
        }
        let mut connection = installation.connection().await?;
        Results::gather(&mut connection, &installation.store, training, day, &settlements).await
    }

    async fn import(&self, installation: &Installation, progress: &Progress) -> Result<(), Failure> {
        let temporary;
        let carried = Path::new("pipelines/datasets/fashion.parquet");
        let path: PathBuf = if carried.is_file() {
            carried.to_owned()
        } else {
            temporary = tempfile::Builder::new().prefix("fashion").suffix(".parquet").tempfile()?;
            std::fs::write(temporary.path(), FASHION)?;
            temporary.path().to_owned()
        };
        let request = ImportRequest {
            path,
            name: DATASET.parse().map_err(|error| Failure::of(&error))?,
            image_column: "image".to_owned(),
            label_column: "label".to_owned(),
            shape: None,
            seed: ImportRequest::default_seed(),
        };
        let mut connection = installation.connection().await?;
        let manifest = import(&installation.store, &mut connection, &request, &|_| {}).await?;
        progress.note(&format!(
            "{} images of {} in {} classes: {} to train on, {} held out, {} for the test",
            manifest.rows,
            manifest.shape,
            manifest.classes,
            manifest.train.rows,
            manifest.heldout.rows,
            manifest.test.rows
        ));
        Ok(())
    }

    async fn start(
        &self,
        installation: &Installation,
        wake: &Wake,
        pipeline: &str,
        key: &str,
        day: Option<UtcDay>,
        params: Map<String, Value>,
    ) -> Result<RunId, Failure> {
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        let trigger = Trigger {
            pipeline: pipeline.to_owned(),
            params,
            dedup_key: Some(key.to_owned()),
            logical_date: day.unwrap_or_else(|| UtcDay::of(Utc::now())),
            fire_time: None,
            priority: Priority::Normal,
            started_by: "tale demo".to_owned(),
            reason: None,
            uses_cache: true,
        };
        let started = start(&mut transaction, trigger).await?;
        transaction.commit().await?;
        wake.tell();
        Ok(started.run)
    }

    fn params(&self) -> Map<String, Value> {
        let simulate = if self.no_attackers { "honest-only" } else { "attackers" };
        let params = json!({
            "dataset": DATASET, "rounds": self.rounds, "seed": self.seed, "network": format!("demo-{}", self.seed),
            "pov": !self.no_pov, "simulate": simulate,
        });
        params.as_object().cloned().unwrap_or_default()
    }

    /// The folder of a demo that was not told where to live: each seed and variant has its own.
    fn folder(&self) -> String {
        let attackers = if self.no_attackers { "-no-attackers" } else { "" };
        let pov = if self.no_pov { "-no-pov" } else { "" };
        format!("demo-seed-{}-rounds-{}{attackers}{pov}", self.seed, self.rounds)
    }

    fn variant(&self) -> &'static str {
        match (self.no_attackers, self.no_pov) {
            (false, false) => "with PoV",
            (false, true) => "without PoV",
            (true, false) => "honest participants only",
            (true, true) => "honest participants only, without PoV",
        }
    }

    fn command(&self) -> String {
        let mut command = format!("tale demo --seed {}", self.seed);
        if self.rounds != 5 {
            command.push_str(&format!(" --rounds {}", self.rounds));
        }
        if self.no_attackers {
            command.push_str(" --no-attackers");
        }
        if self.no_pov {
            command.push_str(" --no-pov");
        }
        command
    }

    fn present(
        &self,
        global: &Global,
        results: &Results,
        directory: &Path,
        seconds: f64,
    ) -> Result<ExitCode, Failure> {
        let page = report::render(&results.report(self, seconds));
        let path = directory.join("report.html");
        let unfinished = directory.join("report.html.partial");
        std::fs::write(&unfinished, page)?;
        std::fs::rename(&unfinished, &path)?;
        match global.output {
            output::Format::Json => output::json(&results.document(seconds))?,
            output::Format::Table => {
                output::line(&summary::text(results))?;
                output::line(&format!("{}; the report is {}", output::duration(seconds), path.display()))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Waits until a run ends, and returns its outputs.
async fn follow(
    installation: &Installation,
    run: RunId,
    progress: &Progress,
    what: &str,
) -> Result<Value, Failure> {
    progress.stage(what);
    let mut published = 0;
    loop {
        let look = async {
            let mut connection = installation.database.acquire().await?;
            let (state, outputs) = run_state(&mut connection, run).await?;
            let how_far = run_progress(&mut connection, run).await?;
            let rounds = child_runs(&mut connection, run, "rounds").await?;
            Ok::<_, QueueError>((state, outputs, how_far, rounds))
        };
        match look.await {
            Ok((state, outputs, how_far, rounds)) => {
                for round in rounds.iter().filter(|round| round.state == RunState::Succeeded).skip(published)
                {
                    published += 1;
                    progress.note(&summary::round_line(published, round.outputs.as_ref()));
                }
                match state {
                    RunState::Succeeded => return Ok(outputs.unwrap_or(Value::Null)),
                    RunState::Failed => {
                        let mut connection = installation.connection().await?;
                        let failures = describe_failures(&mut connection, run).await?;
                        return Err(Failure::new(format!("{what} failed: {}", failures.join("; "))));
                    }
                    RunState::Cancelled => return Err(Failure::new(format!("{what} was cancelled"))),
                    RunState::Queued | RunState::Running => {
                        let running = how_far.running.unwrap_or_default();
                        progress.update(&format!(
                            "{what}: {} of {} tasks done; {running}",
                            how_far.tasks_done, how_far.tasks
                        ));
                    }
                }
            }
            Err(error) if error.is_transient() => {
                progress.update("the database does not answer; waiting for it")
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
