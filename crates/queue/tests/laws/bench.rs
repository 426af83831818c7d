//! The bench that the laws are tried on: a database, runs to start, a worker to claim with.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use tale_primitives::{Digest, RunId, UtcDay, WorkerId};
use tale_queue::{
    ClaimedTask, Claimer, JoinRule, Lease, Limit, NewRun, NewStep, NewTask, NewWorker, Parent, Patience,
    Priority, Resources, Retry, RunReport, RunState, SCHEDULER_POOL, Success, apply_pipeline, complete,
    fold_tallies, register_worker, run_report, start_run,
};
use tale_testkit::TestDatabase;

pub const LEASE: Duration = Duration::from_secs(60);

pub struct Bench {
    pub database: TestDatabase,
    pub version_id: i64,
}

impl Bench {
    pub async fn set_up() -> Self {
        let database = TestDatabase::create().await;
        let mut connection = database.connection().await;
        let applied =
            apply_pipeline(&mut connection, "law", Digest::of("law"), &json!({})).await.expect("a pipeline");
        Self { database, version_id: applied.version_id }
    }

    pub async fn connect(&self) -> PgConnection {
        self.database.connection().await
    }

    pub fn run_of(&self, steps: Vec<NewStep>) -> NewRun {
        NewRun {
            id: RunId::generate(),
            version_id: self.version_id,
            pipeline: "law".to_owned(),
            params: json!({}),
            dedup_key: None,
            logical_date: "2026-11-23".parse::<UtcDay>().expect("a day"),
            fire_time: None,
            priority: Priority::Normal,
            trigger: "a test".to_owned(),
            reason: None,
            tenant: None,
            parent: None,
            uses_cache: true,
            steps,
        }
    }

    /// Starts a run of these steps; the caller's connection is outside any transaction.
    pub async fn start(&self, connection: &mut PgConnection, steps: Vec<NewStep>) -> RunId {
        let run = self.run_of(steps);
        start_run(connection, &run).await.expect("the run starts").expect("it has no parent to lose");
        run.id
    }

    /// Starts the sub-run that a leased task waits for.
    pub async fn start_below(
        &self,
        connection: &mut PgConnection,
        parent: Lease,
        steps: Vec<NewStep>,
    ) -> RunId {
        let mut run = self.run_of(steps);
        run.parent = Some(Parent { task: parent.task, attempt: parent.attempt });
        start_run(connection, &run).await.expect("the sub-run starts").expect("the parent is held");
        run.id
    }

    /// A registered worker of the pool `cpu`.
    pub async fn worker(&self) -> Hand {
        self.worker_of("cpu").await
    }

    /// A stand-in for the scheduler.
    pub async fn scheduler(&self) -> Hand {
        self.worker_of(SCHEDULER_POOL).await
    }

    pub async fn worker_of(&self, pool: &str) -> Hand {
        let id = WorkerId::generate();
        let worker =
            NewWorker { id, pool: pool.to_owned(), host: "test".to_owned(), pid: 1, slots: 1000, has: None };
        self.hire(worker).await
    }

    pub async fn hire(&self, worker: NewWorker) -> Hand {
        let mut connection = self.connect().await;
        register_worker(&mut connection, &worker).await.expect("the worker registers");
        let claimer = Claimer::open(&mut connection, worker.id, &worker.pool).await.expect("the pool opens");
        Hand { id: worker.id, connection, claimer }
    }

    pub async fn report(&self, run: RunId) -> RunReport {
        run_report(&mut self.connect().await, run).await.expect("the run exists")
    }

    pub async fn state(&self, run: RunId) -> RunState {
        self.report(run).await.state
    }

    /// The states of a run's steps, by index.
    pub async fn steps(&self, run: RunId) -> Vec<String> {
        self.report(run).await.steps.into_iter().map(|step| step.state).collect()
    }

    /// Makes a worker look as if it had stopped beating long ago.
    pub async fn silence(&self, worker: WorkerId) {
        sqlx::query("update queue.worker set last_seen = last_seen - interval '1 hour' where id = $1")
            .bind(worker.raw())
            .execute(&mut self.connect().await)
            .await
            .expect("the worker exists");
    }

    /// Makes every delayed task due.
    pub async fn make_due(&self) {
        sqlx::query("update queue.delayed set run_at = clock_timestamp() - interval '1 second'")
            .execute(&mut self.connect().await)
            .await
            .expect("delayed tasks can be moved");
    }

    /// How many rows these tables of the queue hold together.
    pub async fn rows(&self, tables: &[&str]) -> i64 {
        let mut total = 0;
        for table in tables {
            let counted = sqlx::query(AssertSqlSafe(format!("select count(*) from queue.{table}")))
                .fetch_one(&mut self.connect().await)
                .await;
            total += counted.expect("the table exists").get::<i64, _>(0);
        }
        total
    }
}

/// A worker's side, moved by hand.
pub struct Hand {
    pub id: WorkerId,
    pub connection: PgConnection,
    pub claimer: Claimer,
}

impl Hand {
    pub async fn claim(&mut self, count: u32) -> Vec<ClaimedTask> {
        self.claimer.claim(&mut self.connection, count).await.expect("claiming works")
    }

    pub async fn claim_one(&mut self) -> ClaimedTask {
        let mut claimed = self.claim(1).await;
        claimed.pop().expect("a task is ready")
    }

    /// Claims and completes until nothing is ready; returns the step and index of each task, in order.
    pub async fn work_off(&mut self) -> Vec<(u16, i32)> {
        let mut done = Vec::new();
        loop {
            let claimed = self.claim(100).await;
            if claimed.is_empty() {
                if fold_tallies(&mut self.connection, 1000).await.expect("folding works") {
                    continue;
                }
                return done;
            }
            let successes: Vec<Success> = claimed.iter().map(|task| success(task.lease)).collect();
            let won = complete(&mut self.connection, &successes).await.expect("completing works");
            assert_eq!(won.won.len(), claimed.len(), "nobody else took these leases");
            done.extend(claimed.iter().map(|task| (task.step, task.index)));
        }
    }
}

pub fn success(lease: Lease) -> Success {
    Success { lease, outputs: json!({ "task": lease.task.raw() }) }
}

pub fn failure(lease: Lease) -> tale_queue::Failure {
    tale_queue::Failure {
        lease,
        error: "it broke".to_owned(),
        is_final: false,
        retry_after: None,
        class: None,
    }
}

pub fn final_failure(lease: Lease) -> tale_queue::Failure {
    tale_queue::Failure { is_final: true, ..failure(lease) }
}

/// A step with `tasks` tasks known from the start.
pub fn step(name: &str, needs: u32, dependents: &[u16], tasks: u32) -> NewStep {
    NewStep {
        name: name.to_owned(),
        kind: "test".to_owned(),
        needs,
        dependents: dependents.to_vec(),
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
        tasks: Some(new_tasks(tasks)),
    }
}

/// A step that the scheduler expands.
pub fn unplanned(name: &str, needs: u32, dependents: &[u16]) -> NewStep {
    NewStep { tasks: None, ..step(name, needs, dependents, 0) }
}

/// A step whose one task waits for a sub-run.
pub fn sub_run(name: &str, needs: u32, dependents: &[u16]) -> NewStep {
    NewStep {
        kind: "pipeline".to_owned(),
        pool: SCHEDULER_POOL.to_owned(),
        ..step(name, needs, dependents, 1)
    }
}

pub fn new_tasks(count: u32) -> Vec<NewTask> {
    (0..count)
        .map(|index| NewTask { index, arguments: Value::Null, limit_key: None, cache_key: None })
        .collect()
}
