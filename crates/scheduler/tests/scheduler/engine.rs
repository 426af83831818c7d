//! Schedulers and one worker over a database of their own.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, postgres::PgPoolOptions};
use tale_pipeline::{KindCatalog, KindDescription, ResourceSpec, Source, check};
use tale_primitives::RunId;
use tale_queue::{Priority, RunReport, RunState, Wake, apply_pipeline, run_report};
use tale_scheduler::{
    Folders, Scheduler, SchedulerSettings, Trigger, Watched, apply_schedule, apply_triggers,
    notify_schedules, start,
};
use tale_storage::Store;
use tale_testkit::TestDatabase;
use tale_worker::{Completion, Kind, KindRegistry, TaskContext, TaskError, Worker, WorkerSettings};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Long enough for a busy machine, short enough for a test that hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// The shortest lease that a scheduler may be set to here: the worker beats several times in it.
pub const SHORT_LEASE: Duration = Duration::from_secs(1);

pub struct Engine {
    database: TestDatabase,
    _directory: tempfile::TempDir,
    wake: Wake,
    stop: CancellationToken,
    running: Vec<JoinHandle<()>>,
}

impl Engine {
    pub async fn set_up(schedulers: usize) -> Self {
        let database = TestDatabase::create().await;
        let directory = tale_testkit::tempdir();
        let wake = Wake::start(database.pool().clone());
        let stop = CancellationToken::new();
        let worker = Worker {
            database: database.pool().clone(),
            store: Store::open(&format!("file://{}", directory.path().display())).unwrap(),
            kinds: kinds(),
            settings: WorkerSettings {
                lease: SHORT_LEASE,
                grace: Duration::from_secs(1),
                ..WorkerSettings::new("cpu", 4)
            },
            wake: wake.clone(),
        };
        let token = stop.clone();
        let mut running = vec![tokio::spawn(async move { worker.run(token).await.unwrap() })];
        for _ in 0..schedulers {
            running.push(tokio::spawn(scheduler(&database, &wake).run(stop.clone())));
        }
        Self { database, _directory: directory, wake, stop, running }
    }

    /// Starts one more scheduler, which the caller may kill.
    pub fn scheduler(&self) -> JoinHandle<()> {
        tokio::spawn(scheduler(&self.database, &self.wake).run(self.stop.clone()))
    }

    /// Starts one more scheduler with these settings, which the caller may kill.
    pub fn scheduler_with(&self, settings: SchedulerSettings) -> JoinHandle<()> {
        let scheduler = Scheduler { settings, ..scheduler(&self.database, &self.wake) };
        tokio::spawn(scheduler.run(self.stop.clone()))
    }

    /// Starts one more scheduler, which looks at these folders.
    pub fn looking(&self, folders: Arc<dyn Folders>) -> JoinHandle<()> {
        let mut scheduler = scheduler(&self.database, &self.wake);
        scheduler.settings.folders = Some(Watched(folders));
        tokio::spawn(scheduler.run(self.stop.clone()))
    }

    pub async fn connection(&self) -> PgConnection {
        self.database.connection().await
    }

    /// Checks a pipeline and makes it known.
    pub async fn apply(&self, text: &str) {
        let source = Source { name: "test.yaml".to_owned(), text: text.to_owned() };
        let spec = check(&source, &catalog(), None).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let (digest, json) = (spec.digest().unwrap(), spec.to_json().unwrap());
        let mut transaction = self.database.pool().begin().await.unwrap();
        let applied = apply_pipeline(&mut transaction, spec.name.as_str(), digest, &json).await.unwrap();
        apply_schedule(&mut transaction, &spec, applied.version_id).await.unwrap();
        apply_triggers(&mut transaction, &spec, applied.version_id).await.unwrap();
        transaction.commit().await.unwrap();
        notify_schedules(&mut self.connection().await).await.unwrap();
    }

    pub async fn start(&self, pipeline: &str, params: Value) -> RunId {
        let trigger = Trigger {
            pipeline: pipeline.to_owned(),
            params: params.as_object().unwrap().clone(),
            dedup_key: None,
            logical_date: "2026-11-23".parse().unwrap(),
            fire_time: None,
            priority: Priority::Normal,
            started_by: "a test".to_owned(),
            reason: None,
            uses_cache: true,
        };
        let mut transaction = self.database.pool().begin().await.unwrap();
        let started = start(&mut transaction, trigger).await.unwrap();
        transaction.commit().await.unwrap();
        self.wake.tell();
        started.run
    }

    pub async fn end_of(&self, run: RunId) -> RunReport {
        let started = Instant::now();
        loop {
            let report = run_report(&mut self.connection().await, run).await.unwrap();
            if report.state != RunState::Running {
                return report;
            }
            assert!(started.elapsed() < PATIENCE, "the run does not end: {report:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn stop(self) {
        self.stop.cancel();
        for running in self.running {
            tokio::time::timeout(PATIENCE, running).await.expect("it stops").expect("it does not panic");
        }
    }
}

fn scheduler(database: &TestDatabase, wake: &Wake) -> Scheduler {
    Scheduler {
        // each with connections of its own, like the processes that they stand for
        database: PgPoolOptions::new().max_connections(6).connect_lazy(database.url()).unwrap(),
        settings: SchedulerSettings::default(),
        wake: wake.clone(),
    }
}

fn catalog() -> KindCatalog {
    KindCatalog::new(kinds().schemas().into_iter().map(|kind| KindDescription {
        name: kind.name,
        summary: kind.summary,
        arguments: kind.arguments,
        outputs: kind.outputs,
        pool: None,
        resources: ResourceSpec::default(),
        cacheable: false,
    }))
}

fn kinds() -> KindRegistry {
    KindRegistry::default().with::<Echo>().with::<Range>().with::<Flaky>()
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Anything {
    value: Value,
}

struct Echo;

impl Kind for Echo {
    const NAME: &'static str = "test.echo";
    const SUMMARY: &'static str = "Returns what it is given.";
    type Arguments = Anything;
    type Outputs = Anything;

    async fn run(_: TaskContext, arguments: Anything) -> Result<Completion<Anything>, TaskError> {
        Ok(Completion::of(arguments))
    }
}

#[derive(Deserialize, JsonSchema)]
struct Count {
    count: u32,
}

#[derive(Serialize, JsonSchema)]
struct Items {
    items: Vec<u32>,
}

struct Range;

impl Kind for Range {
    const NAME: &'static str = "test.range";
    const SUMMARY: &'static str = "Lists the numbers below one.";
    type Arguments = Count;
    type Outputs = Items;

    async fn run(_: TaskContext, Count { count }: Count) -> Result<Completion<Items>, TaskError> {
        Ok(Completion::of(Items { items: (0..count).collect() }))
    }
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

struct Flaky;

impl Kind for Flaky {
    const NAME: &'static str = "test.flaky";
    const SUMMARY: &'static str = "Fails in its first two attempts.";
    type Arguments = Nothing;
    type Outputs = ();

    async fn run(context: TaskContext, _: Nothing) -> Result<Completion<()>, TaskError> {
        if context.attempt_number <= 2 {
            return Err(TaskError::retry(std::io::Error::other("not yet")));
        }
        Ok(Completion::of(()))
    }
}
