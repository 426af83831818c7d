//! Claiming: ready tasks become leases, in batches.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::NaiveDate;
use serde_json::Value;
use sqlx::{PgConnection, types::Uuid};
use tale_primitives::{AttemptId, RunId, TaskId, UtcDay, WorkerId};

use crate::QueueError;

/// A task and the fencing token of one attempt at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The task.
    pub task: TaskId,
    /// The attempt.
    pub attempt: AttemptId,
}

/// A task that this worker holds, with what it needs to run it.
#[derive(Debug, Clone)]
pub struct ClaimedTask {
    /// What is held, and under which token.
    pub lease: Lease,
    /// The run.
    pub run: RunId,
    /// The run's pipeline.
    pub pipeline: String,
    /// The pipeline version of the run.
    pub version_id: i64,
    /// The UTC day that the run is about.
    pub logical_date: UtcDay,
    /// The step's index.
    pub step: u16,
    /// The step's name.
    pub step_name: String,
    /// The task kind.
    pub kind: String,
    /// The place in the fan-out; −1 for the expansion of the step itself.
    pub index: i32,
    /// The evaluated arguments; null for an expansion.
    pub arguments: Value,
    /// Which attempt this is, from 1, crashes included.
    pub attempt_number: u32,
    /// How many failed attempts the step allows.
    pub attempts_max: u32,
    /// How long the attempt may take.
    pub timeout: Option<Duration>,
}

/// Claims tasks for one worker, remembering how far each priority's queue has been emptied.
///
/// The watermarks let a claim start behind the rows that earlier claims have deleted and vacuum has not yet removed;
/// they are reset every second, so that rows which committed late or were rolled back are found. Clones share them.
#[derive(Debug, Clone)]
pub struct Claimer {
    worker: WorkerId,
    pool: i16,
    marks: Arc<Mutex<Marks>>,
}

#[derive(Debug)]
struct Marks {
    after: [i64; 3],
    reset_at: Instant,
}

#[derive(Debug)]
struct ClaimedRow {
    task_id: i64,
    attempt_id: i64,
    priority: i16,
    seq: i64,
    run_id: Uuid,
    pipeline: String,
    version_id: i64,
    logical_date: NaiveDate,
    step: i16,
    step_name: String,
    kind: String,
    index: i32,
    arguments: Option<Value>,
    attempts: i16,
    crashes: i16,
    attempts_max: i16,
    timeout_ms: Option<i64>,
}

impl Claimer {
    /// How far behind the highest claimed row a claim starts: rows of concurrent transactions may still appear there.
    const SLACK: i64 = 10_000;

    /// A claimer for `worker` in the pool of this name, which is created if it is new.
    pub async fn open(
        connection: &mut PgConnection,
        worker: WorkerId,
        pool: &str,
    ) -> Result<Self, QueueError> {
        let marks = Arc::new(Mutex::new(Marks { after: [0; 3], reset_at: Instant::now() }));
        Ok(Self { worker, pool: pool_id(connection, pool).await?, marks })
    }

    /// Leases up to `count` ready tasks, most urgent first, in a transaction of its own that does not wait for the disk.
    pub async fn claim(
        &self,
        connection: &mut PgConnection,
        count: u32,
    ) -> Result<Vec<ClaimedTask>, QueueError> {
        let after = self.lock().current();
        let rows = sqlx::query_file_as!(
            ClaimedRow,
            "../../sql/queue/claim_tasks.sql",
            self.pool,
            self.worker.raw(),
            count as i32,
            &after
        )
        .fetch_all(connection)
        .await?;
        Ok(self.claimed(rows))
    }

    /// Leases up to `count` ready tasks inside the caller's transaction, which acknowledges others.
    pub async fn take(
        &self,
        connection: &mut PgConnection,
        count: u32,
    ) -> Result<Vec<ClaimedTask>, QueueError> {
        let after = self.lock().current();
        let rows = sqlx::query_file_as!(
            ClaimedRow,
            "../../sql/queue/take_tasks.sql",
            self.pool,
            self.worker.raw(),
            count as i32,
            &after
        )
        .fetch_all(connection)
        .await?;
        Ok(self.claimed(rows))
    }

    /// Whether claims of the pool weigh what tasks ask for: then nothing is claimed in advance.
    pub async fn weighs(&self, connection: &mut PgConnection) -> Result<bool, QueueError> {
        Ok(sqlx::query_file_scalar!("../../sql/queue/find_weighs.sql", self.pool)
            .fetch_one(connection)
            .await?)
    }

    /// Leases up to `count` ready tasks that fit into what the worker has left, in a transaction of its own: for pools
    /// that weigh what tasks ask for.
    pub async fn claim_fitting(
        &self,
        connection: &mut PgConnection,
        count: u32,
    ) -> Result<Vec<ClaimedTask>, QueueError> {
        let after = self.lock().current();
        let rows = sqlx::query_file_as!(
            ClaimedRow,
            "../../sql/queue/claim_fitting.sql",
            self.pool,
            self.worker.raw(),
            count as i32,
            &after
        )
        .fetch_all(connection)
        .await?;
        Ok(self.claimed(rows))
    }

    fn claimed(&self, rows: Vec<ClaimedRow>) -> Vec<ClaimedTask> {
        let mut marks = self.lock();
        for row in &rows {
            if let Some(after) = marks.after.get_mut(row.priority as usize) {
                *after = (*after).max(row.seq - Self::SLACK);
            }
        }
        rows.into_iter().map(ClaimedTask::from).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Marks> {
        // three numbers and a time are never half changed
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Marks {
    fn current(&mut self) -> [i64; 3] {
        if self.reset_at.elapsed() > Duration::from_secs(1) {
            self.after = [0; 3];
            self.reset_at = Instant::now();
        }
        self.after
    }
}

impl From<ClaimedRow> for ClaimedTask {
    fn from(row: ClaimedRow) -> Self {
        Self {
            lease: Lease {
                task: TaskId::from_raw(row.task_id),
                attempt: AttemptId::from_raw(row.attempt_id),
            },
            run: RunId::from_raw(row.run_id),
            pipeline: row.pipeline,
            version_id: row.version_id,
            logical_date: UtcDay::from_date(row.logical_date),
            step: row.step as u16,
            step_name: row.step_name,
            kind: row.kind,
            index: row.index,
            arguments: row.arguments.unwrap_or(Value::Null),
            attempt_number: (row.attempts + row.crashes + 1) as u32,
            attempts_max: row.attempts_max as u32,
            timeout: row.timeout_ms.map(|ms| Duration::from_millis(ms as u64)),
        }
    }
}

/// The number of the pool of this name, which is created if it is new.
pub(crate) async fn pool_id(connection: &mut PgConnection, name: &str) -> Result<i16, QueueError> {
    sqlx::query_file!("../../sql/queue/ensure_pools.sql", &[name.to_owned()])
        .execute(&mut *connection)
        .await?;
    Ok(sqlx::query_file_scalar!("../../sql/queue/find_pool.sql", name).fetch_one(connection).await?)
}
