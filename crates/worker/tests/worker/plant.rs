//! A database, a store and workers that run until the test is over.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::PgPool;
use tale_primitives::{Digest, RunId};
use tale_queue::{
    JoinRule, Limit, NewRun, NewStep, NewTask, Patience, Priority, Resources, Retry, RunReport, RunState,
    Wake, apply_pipeline, promote_due, reap, run_report, run_state, start_run,
};
use tale_storage::{ObjectRef, Store};
use tale_testkit::TestDatabase;
use tale_worker::{KindRegistry, Worker, WorkerError, WorkerSettings};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::kinds;

/// Long enough for a busy machine, short enough for a test that hangs.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Plant {
    /// Kept for its drop: the database goes with it.
    _database: Option<TestDatabase>,
    pub pool: PgPool,
    pub store: Store,
    directory: tempfile::TempDir,
}

/// A worker that runs beside the test.
pub struct Running {
    pub stop: CancellationToken,
    pub ended: JoinHandle<Result<(), WorkerError>>,
}

impl Plant {
    pub async fn set_up() -> Self {
        let database = TestDatabase::create().await;
        let pool = database.pool().clone();
        Self { _database: Some(database), ..Self::over(pool).await }
    }

    /// A plant over a database that the test manages itself.
    pub async fn over(pool: PgPool) -> Self {
        sqlx::query("create table public.effect (task_id bigint)").execute(&pool).await.unwrap();
        let directory = tale_testkit::tempdir();
        let store = Store::open(&format!("file://{}", directory.path().display())).unwrap();
        Self { _database: None, pool, store, directory }
    }

    pub fn work(&self, settings: WorkerSettings) -> Running {
        self.work_with(settings, kinds::all())
    }

    pub fn work_with(&self, settings: WorkerSettings, kinds: KindRegistry) -> Running {
        let worker = Worker {
            database: self.pool.clone(),
            store: self.store.clone(),
            kinds,
            settings,
            wake: Wake::start(self.pool.clone()),
        };
        let stop = CancellationToken::new();
        let ended = tokio::spawn(worker.run(stop.clone()));
        Running { stop, ended }
    }

    /// Starts a run of one step of this kind, with a task for each of these arguments.
    pub async fn start(&self, kind: &str, arguments: Vec<Value>) -> RunId {
        self.start_step(NewStep { kind: kind.to_owned(), ..step(arguments) }).await
    }

    pub async fn start_step(&self, step: NewStep) -> RunId {
        self.start_run(step, true).await
    }

    /// Starts a run of one step, which may take results that were kept or may not.
    pub async fn start_run(&self, step: NewStep, uses_cache: bool) -> RunId {
        let mut transaction = self.pool.begin().await.unwrap();
        let applied =
            apply_pipeline(&mut transaction, "worker-test", Digest::of("test"), &json!({})).await.unwrap();
        let run = NewRun {
            id: RunId::generate(),
            version_id: applied.version_id,
            pipeline: "worker-test".to_owned(),
            params: json!({}),
            dedup_key: None,
            logical_date: "2026-11-23".parse().unwrap(),
            fire_time: None,
            priority: Priority::Normal,
            trigger: "a test".to_owned(),
            reason: None,
            tenant: None,
            parent: None,
            uses_cache,
            steps: vec![step],
        };
        start_run(&mut transaction, &run).await.unwrap();
        transaction.commit().await.unwrap();
        run.id
    }

    /// Deletes an object behind everybody's back.
    pub fn lose(&self, object: &ObjectRef) {
        std::fs::remove_file(self.directory.path().join(object.key())).unwrap();
    }

    /// Waits for the run's end, making retries ready as a scheduler would.
    pub async fn end_of(&self, run: RunId) -> RunReport {
        let mut report = None;
        self.until("the run ends", async || {
            let Ok(mut connection) = self.pool.acquire().await else { return false };
            // the database may be restarting
            let _ = promote_due(&mut connection, 100).await;
            if matches!(run_state(&mut connection, run).await, Ok((state, _)) if state != RunState::Running) {
                report = run_report(&mut connection, run).await.ok();
            }
            report.is_some()
        })
        .await;
        report.expect("it has ended")
    }

    pub async fn report(&self, run: RunId) -> RunReport {
        run_report(&mut self.pool.acquire().await.unwrap(), run).await.unwrap()
    }

    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let started = Instant::now();
        while !holds().await {
            assert!(started.elapsed() < PATIENCE, "waited too long until {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn until_running(&self, run: RunId) {
        self.until("the task runs", async || self.report(run).await.tasks[0].state == "running").await;
    }

    /// Takes every lease away, as the reaper does when it believes a worker dead.
    pub async fn steal_leases(&self) {
        // in one transaction, so that no heartbeat comes in between
        let mut transaction = self.pool.begin().await.unwrap();
        sqlx::query("update queue.worker set last_seen = last_seen - interval '1 hour'")
            .execute(&mut *transaction)
            .await
            .unwrap();
        // the pool stays empty, so that no one claims the task again before the test looks
        sqlx::query("update queue.step set pool = 1").execute(&mut *transaction).await.unwrap();
        assert!(!reap(&mut transaction, Duration::from_secs(60), 3).await.unwrap().is_empty());
        transaction.commit().await.unwrap();
    }

    pub async fn effects(&self) -> i64 {
        sqlx::query_scalar("select count(*) from public.effect").fetch_one(&self.pool).await.unwrap()
    }
}

impl Running {
    pub async fn stop(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(PATIENCE, self.ended).await.expect("the worker stops");
        ended.expect("it does not panic").expect("it ends well");
    }
}

/// A step of tasks with these arguments, one attempt each.
pub fn step(arguments: Vec<Value>) -> NewStep {
    let tasks = (0..).zip(arguments).map(|(index, arguments)| NewTask {
        index,
        arguments,
        limit_key: None,
        cache_key: None,
    });
    NewStep {
        name: "only".to_owned(),
        kind: "test.echo".to_owned(),
        needs: 0,
        dependents: vec![],
        pool: "cpu".to_owned(),
        retry: Retry { attempts_max: 1, backoff_base_ms: 0, backoff_cap_ms: 0 },
        timeout_ms: None,
        patience: Patience::default(),
        tolerate_ppm: 0,
        sequence: false,
        join: JoinRule::AllSuccess,
        is_finally: false,
        limit: Limit::default(),
        asks: Resources::default(),
        cache: None,
        tasks: Some(tasks.collect()),
    }
}

pub fn settings() -> WorkerSettings {
    WorkerSettings { grace: Duration::from_millis(200), ..WorkerSettings::new("cpu", 4) }
}
