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
    /// How many workers were lost while they held it.
    pub crashes: u32,
    /// How many failed attempts the step allows.
    pub attempts_max: u32,
    /// How long the attempt may take.
    pub timeout: Option<Duration>,
}

/// Claims tasks for one worker, remembering how far each priority's queue has been emptied.
///
/// The watermarks let a claim start behind the rows that earlier claims have deleted and vacuum has not yet removed.
/// They are reset every second, and whenever a claim found less than it asked for, so that rows which committed late or
/// were rolled back are found; but the longer such a search from the start takes, as beside an old snapshot that keeps
/// dead rows alive, the rarer it is. Clones share the watermarks.
#[derive(Debug, Clone)]
pub struct Claimer {
    worker: WorkerId,
    pool: i16,
    marks: Arc<Mutex<Marks>>,
}

#[derive(Debug)]
struct Marks {
    after: [i64; 3],
    /// How many searches from the start there were.
    searches: u64,
    /// When the last one began, and how long it took beyond what its rows usually take.
    searched_at: Instant,
    search: Duration,
    /// How long claims behind the watermarks take for each row that they find.
    usual: Option<Duration>,
    /// Whether the last claim found less than it asked for.
    is_short: bool,
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
    /// Every claim walks over the dead rows among them, so they are few.
    const SLACK: i64 = 500;

    /// A claimer for `worker` in the pool of this name, which is created if it is new.
    pub async fn open(
        connection: &mut PgConnection,
        worker: WorkerId,
        pool: &str,
    ) -> Result<Self, QueueError> {
        let marks = Arc::new(Mutex::new(Marks::new()));
        Ok(Self { worker, pool: pool_id(connection, pool).await?, marks })
    }

    /// Leases up to `count` ready tasks, most urgent first, in a transaction of its own that does not wait for the disk.
    pub async fn claim(
        &self,
        connection: &mut PgConnection,
        count: u32,
    ) -> Result<Vec<ClaimedTask>, QueueError> {
        let search = self.lock().begin();
        let rows = sqlx::query_file_as!(
            ClaimedRow,
            "../../sql/queue/claim_tasks.sql",
            self.pool,
            self.worker.raw(),
            count as i32,
            &search.after
        )
        .fetch_all(connection)
        .await?;
        Ok(self.claimed(&search, count, rows))
    }

    /// Leases up to `count` ready tasks inside the caller's transaction, which acknowledges others.
    pub async fn take(
        &self,
        connection: &mut PgConnection,
        count: u32,
    ) -> Result<Vec<ClaimedTask>, QueueError> {
        let search = self.lock().begin();
        let rows = sqlx::query_file_as!(
            ClaimedRow,
            "../../sql/queue/take_tasks.sql",
            self.pool,
            self.worker.raw(),
            count as i32,
            &search.after
        )
        .fetch_all(connection)
        .await?;
        Ok(self.claimed(&search, count, rows))
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
        let search = self.lock().begin();
        let rows = sqlx::query_file_as!(
            ClaimedRow,
            "../../sql/queue/claim_fitting.sql",
            self.pool,
            self.worker.raw(),
            count as i32,
            &search.after
        )
        .fetch_all(connection)
        .await?;
        Ok(self.claimed(&search, count, rows))
    }

    fn claimed(&self, search: &Search, count: u32, rows: Vec<ClaimedRow>) -> Vec<ClaimedTask> {
        self.lock().end(search, rows.len() < count as usize, &rows);
        rows.into_iter().map(ClaimedTask::from).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Marks> {
        // three numbers and a time are never half changed
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One claim's way through the queue.
#[derive(Debug)]
struct Search {
    after: [i64; 3],
    /// The search from the start that it followed.
    number: u64,
    began_at: Instant,
}

impl Marks {
    /// How often a claim searches from the start while others find enough behind the watermarks.
    const SEARCH_EVERY: Duration = Duration::from_secs(1);
    /// Searches from the start take at most one part in so many of a claimer's time.
    const SEARCH_SHARE: u32 = 50;

    fn new() -> Self {
        let searched_at = Instant::now();
        Self { after: [0; 3], searches: 0, searched_at, search: Duration::ZERO, usual: None, is_short: false }
    }

    fn begin(&mut self) -> Search {
        let began_at = Instant::now();
        let usually = if self.is_short { Duration::ZERO } else { Self::SEARCH_EVERY };
        if began_at - self.searched_at >= usually.max(self.search * Self::SEARCH_SHARE) {
            self.after = [0; 3];
            self.searches += 1;
            self.searched_at = began_at;
        }
        Search { after: self.after, number: self.searches, began_at }
    }

    fn end(&mut self, search: &Search, is_short: bool, rows: &[ClaimedRow]) {
        let took = search.began_at.elapsed();
        let found = u32::try_from(rows.len()).unwrap_or(u32::MAX).max(1);
        if search.after == [0; 3] {
            self.search = self.usual.map_or(Duration::ZERO, |usual| took.saturating_sub(usual * found));
        } else {
            self.usual = Some(took / found);
        }
        self.is_short = is_short;
        if search.number != self.searches {
            // begun before the latest search from the start, whose finds it would hide again
            return;
        }
        for row in rows {
            if let Some(after) = self.after.get_mut(row.priority as usize) {
                *after = (*after).max(row.seq - Claimer::SLACK);
            }
        }
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
            crashes: row.crashes as u32,
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
