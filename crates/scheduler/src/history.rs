//! What becomes of the past: logs that nobody archived, lines that are in an object already, and runs that no policy keeps.

use std::time::{Duration, Instant};

use sqlx::{PgConnection, PgPool};
use tale_primitives::RunId;
use tale_queue::{
    Archive, QueueError, SharedArchive, archive_log, archive_runs, clear_archived_logs, drop_archived,
    expired_runs, lock_retention, unarchived_logs, unlock_retention,
};
use tokio::time;

use crate::error::chain;

/// How often to look at logs, and at runs while some are being archived.
const TICK: Duration = Duration::from_secs(1);
/// How often to look for runs while there are none.
const IDLE: Duration = Duration::from_secs(30);
/// How long to wait before trying again after an error.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a worker has for archiving the log of an attempt that has ended.
const SETTLED_SECONDS: f64 = 10.0;
/// How many logs one look archives.
const LOGS_MAX: u32 = 100;
/// How many hot lines one transaction drops.
const LINES_MAX: u32 = 5000;
/// How many runs one look archives.
const RUNS_MAX: u32 = 1000;
/// How many rows of archived runs one transaction drops: a fraction of a second's work.
const ROWS_MAX: u32 = 2000;

/// Looks after history, for ever; any number of schedulers may do so at once.
pub(crate) struct History {
    pub pool: PgPool,
    pub archive: SharedArchive,
}

/// What looking after runs did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retained {
    /// How many runs were dealt with, sub-runs not counted.
    pub runs: usize,
    /// How many rows were dropped.
    pub rows: u64,
}

impl History {
    pub async fn run(self) {
        loop {
            if let Err(error) = self.serve().await {
                if error.is_transient() {
                    tracing::debug!(%error, "history waits for the database");
                } else {
                    tracing::warn!(error = chain(&error), "history could not be archived; trying again");
                }
                time::sleep(PAUSE).await;
            }
        }
    }

    async fn serve(&self) -> Result<(), QueueError> {
        // a lock of the session is taken on it: a connection that breaks must not go back to the pool
        let mut connection = self.pool.acquire().await?.detach();
        let mut looked_at: Option<Instant> = None;
        loop {
            time::sleep(TICK).await;
            tend_logs(&mut connection, &*self.archive).await?;
            if looked_at.is_none_or(|at| at.elapsed() >= IDLE) {
                let Retained { runs, rows } = retain(&mut connection, &*self.archive).await?;
                looked_at = (runs == 0 && rows == 0).then(Instant::now);
            }
        }
    }
}

/// Archives logs that a worker left, and drops hot lines that are in an object.
async fn tend_logs(connection: &mut PgConnection, archive: &dyn Archive) -> Result<(), QueueError> {
    for logged in unarchived_logs(connection, SETTLED_SECONDS, LOGS_MAX).await? {
        archive_log(connection, archive, logged, None).await?;
    }
    while clear_archived_logs(connection, LINES_MAX).await? == u64::from(LINES_MAX) {}
    Ok(())
}

/// Archives runs that no policy keeps, up to a thousand, and drops the rows of all that are archived; does nothing where
/// another process is about it. The connection must belong to nobody else, for it holds a lock of its session meanwhile.
pub async fn retain(connection: &mut PgConnection, archive: &dyn Archive) -> Result<Retained, QueueError> {
    if !lock_retention(connection).await? {
        return Ok(Retained::default());
    }
    let retained = retain_locked(connection, archive).await;
    unlock_retention(connection).await?;
    retained
}

async fn retain_locked(connection: &mut PgConnection, archive: &dyn Archive) -> Result<Retained, QueueError> {
    let needed = needed_runs(connection).await?;
    let expired = expired_runs(connection, &needed, RUNS_MAX).await?;
    let mut rest = expired.as_slice();
    while !rest.is_empty() {
        let taken = archive_runs(connection, archive, rest).await?;
        rest = rest.get(taken.max(1)..).unwrap_or_default();
    }
    let mut rows = 0;
    loop {
        match drop_archived(connection, ROWS_MAX).await? {
            0 => break,
            dropped => rows += u64::from(dropped),
        }
    }
    Ok(Retained { runs: expired.len(), rows })
}

/// Runs that triggers and back-fills have not dealt with yet.
pub async fn needed_runs(connection: &mut PgConnection) -> Result<Vec<RunId>, QueueError> {
    let rows =
        sqlx::query_file_scalar!("../../sql/schedule/list_pending_runs.sql").fetch_all(connection).await?;
    Ok(rows.into_iter().map(RunId::from_raw).collect())
}
