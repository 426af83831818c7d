//! What attempts print.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use tale_primitives::{AttemptId, RunId, TaskId};

use crate::{Lease, QueueError};

/// The most characters of one stored line; longer ones are cut.
pub(crate) const LINE_LENGTH_MAX: usize = 8192;

/// A line to keep.
#[derive(Debug, Clone)]
pub struct NewLogLine {
    /// The run.
    pub run: RunId,
    /// The attempt that printed it.
    pub lease: Lease,
    /// When.
    pub logged_at: DateTime<Utc>,
    /// The line, without its end.
    pub line: String,
}

/// A line that was kept.
#[derive(Debug, Clone, Serialize)]
pub struct LogLine {
    /// Its place in the order of arrival.
    pub id: i64,
    /// The run, which may be a sub-run of the one asked for.
    pub run: RunId,
    /// The step's name.
    pub step: String,
    /// The task's place in the step's fan-out.
    pub index: i32,
    /// The task.
    pub task: TaskId,
    /// The attempt.
    pub attempt: AttemptId,
    /// When it was printed.
    pub logged_at: DateTime<Utc>,
    /// The line.
    pub line: String,
}

/// Keeps lines; what is not text becomes a replacement character, and overlong lines are cut.
pub async fn append_logs(connection: &mut PgConnection, lines: &[NewLogLine]) -> Result<(), QueueError> {
    let runs: Vec<_> = lines.iter().map(|line| line.run.raw()).collect();
    let tasks: Vec<i64> = lines.iter().map(|line| line.lease.task.raw()).collect();
    let attempts: Vec<i64> = lines.iter().map(|line| line.lease.attempt.raw()).collect();
    let times: Vec<DateTime<Utc>> = lines.iter().map(|line| line.logged_at).collect();
    let texts: Vec<String> = lines
        .iter()
        .map(|line| line.line.replace('\0', "\u{fffd}").chars().take(LINE_LENGTH_MAX).collect())
        .collect();
    sqlx::query_file!("../../sql/queue/append_logs.sql", &runs, &tasks, &attempts, &times, &texts)
        .execute(connection)
        .await?;
    Ok(())
}

/// Up to `limit` lines of a run and its sub-runs after the line `after`, of one step where it is named.
pub async fn read_logs(
    connection: &mut PgConnection,
    run: RunId,
    step: Option<&str>,
    after: i64,
    limit: u32,
) -> Result<Vec<LogLine>, QueueError> {
    let rows = sqlx::query_file!("../../sql/queue/read_logs.sql", run.raw(), after, step, i64::from(limit))
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| LogLine {
            id: row.id,
            run: RunId::from_raw(row.run_id),
            step: row.step,
            index: row.index,
            task: TaskId::from_raw(row.task_id),
            attempt: AttemptId::from_raw(row.attempt_id),
            logged_at: row.logged_at,
            line: row.line,
        })
        .collect())
}
