//! Worker processes: registration, heartbeats, and what happens when these stop.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use tale_primitives::{AttemptId, TaskId, WorkerId};

use crate::{
    Lease, QueueError, Resources,
    claims::pool_id,
    outcomes::tokens,
    resources::{resources, stored, stored_bytes},
};

/// A worker process that starts.
#[derive(Debug, Clone)]
pub struct NewWorker {
    /// Its id, new at every start.
    pub id: WorkerId,
    /// The pool that it serves.
    pub pool: String,
    /// The machine that it runs on.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// How many tasks it runs at a time.
    pub slots: u32,
    /// What its tasks may use together; without it, it is given no task that asks for anything.
    pub has: Option<Resources>,
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// Whether the worker is still known; one that is not must register again.
    pub is_registered: bool,
    /// Attempts that are no longer the worker's: it must stop them.
    pub lost: Vec<AttemptId>,
}

/// A task that was taken from a worker that stopped beating.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reaped {
    /// The task.
    pub task: TaskId,
    /// Whether it failed for good, having lost too many workers; otherwise it is ready again.
    pub is_dead: bool,
}

/// A live worker, for listings.
#[derive(Debug, Clone, Serialize)]
pub struct WorkerReport {
    /// Its id.
    pub id: WorkerId,
    /// The pool that it serves.
    pub pool: String,
    /// The machine that it runs on.
    pub host: String,
    /// Its process id there.
    pub pid: i32,
    /// How many tasks it runs at a time.
    pub slots: i32,
    /// How many it holds now.
    pub running: i64,
    /// What its tasks may use together, where it says so.
    pub has: Option<Resources>,
    /// What those that it holds use of it.
    pub used: Resources,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// Its last heartbeat.
    pub last_seen: DateTime<Utc>,
}

/// Makes a worker known; repeating it counts as a heartbeat.
pub async fn register_worker(connection: &mut PgConnection, worker: &NewWorker) -> Result<(), QueueError> {
    let pool = pool_id(connection, &worker.pool).await?;
    let has = worker.has.as_ref();
    sqlx::query_file!(
        "../../sql/queue/register_worker.sql",
        worker.id.raw(),
        pool,
        worker.host,
        worker.pid as i32,
        worker.slots as i32,
        has.map(|has| stored(has.cpu_millis)),
        has.map(|has| stored_bytes(has.memory_bytes)),
        has.map(|has| stored(has.gpus)),
        has.map(|has| has.labels.as_slice())
    )
    .execute(&mut *connection)
    .await?;
    if has.is_some_and(|has| has.gpus > 0) {
        sqlx::query_file!("../../sql/queue/weigh_pool.sql", pool).execute(connection).await?;
    }
    Ok(())
}

/// Forgets a worker that has handed back everything and stops.
pub async fn deregister_worker(connection: &mut PgConnection, worker: WorkerId) -> Result<(), QueueError> {
    sqlx::query_file!("../../sql/queue/deregister_worker.sql", worker.raw()).execute(connection).await?;
    Ok(())
}

/// Says that the worker lives, and learns which of its attempts it has lost.
///
/// Leases of this worker that are older than `lease` and not among `held` go back to the queue: the answer to the claim
/// that took them never arrived.
pub async fn beat(
    connection: &mut PgConnection,
    worker: WorkerId,
    held: &[Lease],
    lease: Duration,
) -> Result<Heartbeat, QueueError> {
    let (tasks, attempts) = tokens(held.iter().copied());
    let row =
        sqlx::query_file!("../../sql/queue/beat.sql", worker.raw(), &tasks, &attempts, lease.as_secs_f64())
            .fetch_one(connection)
            .await?;
    Ok(Heartbeat {
        is_registered: row.registered,
        lost: row.lost.into_iter().map(AttemptId::from_raw).collect(),
    })
}

/// Takes the leases of every worker that has not beaten for `lease`: its tasks are ready again, except those that have
/// now lost `crashes_max` workers, which fail.
pub async fn reap(
    connection: &mut PgConnection,
    lease: Duration,
    crashes_max: u32,
) -> Result<Vec<Reaped>, QueueError> {
    let rows = sqlx::query_file!("../../sql/queue/reap.sql", lease.as_secs_f64(), crashes_max as i32)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Reaped { task: TaskId::from_raw(row.task_id), is_dead: row.dead })
        .collect())
}

/// Makes up to `limit` retries ready whose time has come; returns how many.
pub async fn promote_due(connection: &mut PgConnection, limit: u32) -> Result<u32, QueueError> {
    let promoted = sqlx::query_file_scalar!("../../sql/queue/promote_due.sql", limit as i32)
        .fetch_one(connection)
        .await?;
    Ok(promoted as u32)
}

/// Counts tallies of large fan-outs off their steps, and settles the steps that are done; says whether there were any.
///
/// Up to `limit` tallies at a time; each stands for one acknowledged batch.
pub async fn fold_tallies(connection: &mut PgConnection, limit: u32) -> Result<bool, QueueError> {
    let folded = sqlx::query_file_scalar!("../../sql/queue/fold_tallies.sql", limit as i32)
        .fetch_one(connection)
        .await?;
    Ok(folded > 0)
}

/// Every live worker, by pool and age.
pub async fn list_workers(connection: &mut PgConnection) -> Result<Vec<WorkerReport>, QueueError> {
    let rows = sqlx::query_file!("../../sql/queue/list_workers.sql").fetch_all(connection).await?;
    Ok(rows
        .into_iter()
        .map(|row| WorkerReport {
            id: WorkerId::from_raw(row.id),
            pool: row.pool,
            host: row.host,
            pid: row.pid,
            slots: row.slots,
            running: row.running,
            has: row.cpu_millis.map(|cpu_millis| {
                let (memory_bytes, gpus) = (row.memory_bytes.unwrap_or(0), row.gpus.unwrap_or(0));
                resources(cpu_millis, memory_bytes, gpus, row.labels.unwrap_or_default())
            }),
            used: resources(row.used_cpu_millis, row.used_memory_bytes, row.used_gpus, vec![]),
            started_at: row.started_at,
            last_seen: row.last_seen,
        })
        .collect())
}
