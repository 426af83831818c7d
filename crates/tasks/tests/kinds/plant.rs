//! A database, a store and a worker with the product's own kinds.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::PgPool;
use tale_primitives::{Digest, RunId};
use tale_queue::{
    LogFilter, LogReader, NewRun, NewStep, NewTask, Patience, Priority, QueueError, Retry, RunReport,
    RunState, Wake, apply_pipeline, promote_due, reap, run_report, run_state, start_run,
};
use tale_storage::Store;
use tale_testkit::TestDatabase;
use tale_worker::{SecretSources, StoreArchive, Worker, WorkerError, WorkerSettings};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Long enough for a busy machine, short enough for a test that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Plant {
    pub pool: PgPool,
    pub store: Store,
    pub directory: tempfile::TempDir,
    stop: CancellationToken,
    ended: JoinHandle<Result<(), WorkerError>>,
    /// Kept for its drop: the database goes with it.
    _database: TestDatabase,
}

impl Plant {
    /// With a worker that beats often, so that it soon hears of what it has lost.
    pub async fn set_up() -> Self {
        let database = TestDatabase::create().await;
        let pool = database.pool().clone();
        let directory = tale_testkit::tempdir();
        let store = Store::open(&format!("file://{}/objects", directory.path().display())).unwrap();
        let settings = WorkerSettings {
            grace: Duration::from_millis(200),
            lease: Duration::from_secs(2),
            secrets: SecretSources { directory: Some(directory.path().join("secrets")) },
            ..WorkerSettings::new("cpu", 4)
        };
        let worker = Worker {
            database: pool.clone(),
            store: store.clone(),
            kinds: tale_tasks::kinds(),
            settings,
            wake: Wake::start(pool.clone()),
        };
        let stop = CancellationToken::new();
        let ended = tokio::spawn(worker.run(stop.clone()));
        Self { pool, store, directory, stop, ended, _database: database }
    }

    /// Gives the worker a secret.
    pub fn tell(&self, name: &str, secret: &str) {
        let directory = self.directory.path().join("secrets");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(name), secret).unwrap();
    }

    /// Everything that the database holds, as text.
    pub async fn everything_stored(&self) -> String {
        let tables: Vec<String> = sqlx::query_scalar(
            "select format('%I.%I', schemaname, tablename) from pg_tables
             where schemaname not in ('pg_catalog', 'information_schema')",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        let mut everything = String::new();
        for table in tables {
            let query = format!("select coalesce(string_agg(t::text, ' '), '') from {table} t");
            let rows: String =
                sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&self.pool).await.unwrap();
            everything.push_str(&rows);
        }
        everything
    }

    /// Runs one task to its end, with up to three attempts.
    pub async fn run(&self, kind: &str, arguments: Value) -> RunReport {
        let run = self.start(step(kind, arguments)).await;
        self.end_of(run).await
    }

    /// The outputs of a task that must end well.
    pub async fn outputs(&self, kind: &str, arguments: Value) -> Value {
        let report = self.run(kind, arguments).await;
        assert_eq!(report.state, RunState::Succeeded, "{:?}", report.tasks[0].error);
        report.tasks[0].outputs.clone().unwrap()
    }

    /// The error of a task that must fail, and after how many attempts it did.
    pub async fn failure(&self, kind: &str, arguments: Value) -> (String, usize) {
        let report = self.run(kind, arguments).await;
        assert_eq!(report.state, RunState::Failed, "{:?}", report.tasks[0].outputs);
        (report.tasks[0].error.clone().unwrap(), report.attempts.len())
    }

    pub async fn start(&self, step: NewStep) -> RunId {
        let mut transaction = self.pool.begin().await.unwrap();
        let applied =
            apply_pipeline(&mut transaction, "kinds-test", Digest::of("test"), &json!({})).await.unwrap();
        let run = NewRun {
            id: RunId::generate(),
            version_id: applied.version_id,
            pipeline: "kinds-test".to_owned(),
            params: json!({}),
            dedup_key: None,
            logical_date: "2026-11-23".parse().unwrap(),
            priority: Priority::Normal,
            trigger: "a test".to_owned(),
            reason: None,
            tenant: None,
            fire_time: None,
            parent: None,
            uses_cache: true,
            steps: vec![step],
        };
        start_run(&mut transaction, &run).await.unwrap();
        transaction.commit().await.unwrap();
        run.id
    }

    /// Waits for the run's end, making retries ready as a scheduler would.
    pub async fn end_of(&self, run: RunId) -> RunReport {
        self.until("the run ends", async || {
            let mut connection = self.pool.acquire().await.unwrap();
            promote_due(&mut connection, 100).await.unwrap();
            run_state(&mut connection, run).await.unwrap().0 != RunState::Running
        })
        .await;
        self.report(run).await
    }

    pub async fn report(&self, run: RunId) -> RunReport {
        run_report(&mut self.pool.acquire().await.unwrap(), run).await.unwrap()
    }

    /// Every line that the run's attempts have printed, once the line is there that begins like this.
    pub async fn lines_until(&self, run: RunId, last: &str) -> Vec<String> {
        let mut lines = vec![];
        self.until("the line is stored", async || {
            let mut connection = self.pool.acquire().await.unwrap();
            lines.clear();
            LogReader::new(run, LogFilter::default())
                .read::<QueueError>(&mut connection, &StoreArchive(self.store.clone()), |line| {
                    lines.push(line.line);
                    Ok(())
                })
                .await
                .unwrap();
            lines.iter().any(|line| line.starts_with(last))
        })
        .await;
        lines
    }

    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let started = Instant::now();
        while !holds().await {
            assert!(started.elapsed() < PATIENCE, "waited too long until {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Takes every lease away, as the reaper does when it believes a worker dead; nobody runs the tasks again.
    pub async fn steal_leases(&self) {
        // in one transaction, so that no heartbeat comes in between
        let mut transaction = self.pool.begin().await.unwrap();
        sqlx::query("update queue.worker set last_seen = last_seen - interval '1 hour'")
            .execute(&mut *transaction)
            .await
            .unwrap();
        sqlx::query("update queue.step set pool = 1").execute(&mut *transaction).await.unwrap();
        assert!(!reap(&mut transaction, Duration::from_secs(60), 3).await.unwrap().is_empty());
        transaction.commit().await.unwrap();
    }

    pub async fn stop(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(PATIENCE, self.ended).await.expect("the worker stops");
        ended.expect("it does not panic").expect("it ends well");
    }
}

/// A step of one task with three attempts and no pause between them.
pub fn step(kind: &str, arguments: Value) -> NewStep {
    NewStep {
        name: "only".to_owned(),
        kind: kind.to_owned(),
        needs: 0,
        dependents: vec![],
        pool: "cpu".to_owned(),
        retry: Retry { attempts_max: 3, backoff_base_ms: 0, backoff_cap_ms: 0 },
        timeout_ms: None,
        patience: Patience::default(),
        tolerate_ppm: 0,
        join: tale_queue::JoinRule::AllSuccess,
        is_finally: false,
        limit: tale_queue::Limit::default(),
        asks: tale_queue::Resources::default(),
        cache: None,
        sequence: false,
        tasks: Some(vec![NewTask { index: 0, arguments, limit_key: None, cache_key: None }]),
    }
}

/// Arguments with some more.
pub fn with(mut arguments: Value, more: Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        arguments[key] = value.clone();
    }
    arguments
}
