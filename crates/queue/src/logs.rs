//! What attempts print: the hot tail, line by line.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use tale_primitives::{AttemptId, RunId, TaskId};

use crate::{Lease, QueueError};

/// The most characters of one stored line; longer ones are cut.
pub const LOG_LINE_LENGTH_MAX: usize = 8192;

/// A line to keep.
#[derive(Debug, Clone)]
pub struct NewLogLine {
    /// The run.
    pub run: RunId,
    /// The attempt that printed it.
    pub lease: Lease,
    /// Which attempt that is, from 1.
    pub attempt_number: u32,
    /// Its place in the attempt, from 0 and without gaps.
    pub seq: i64,
    /// When.
    pub logged_at: DateTime<Utc>,
    /// The line, without its end.
    pub line: String,
}

/// A line that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
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
    /// Which attempt that is, from 1; 0 where the program that ran it did not say.
    pub attempt_number: u32,
    /// The line's place in the attempt.
    pub seq: i64,
    /// When it was printed.
    pub logged_at: DateTime<Utc>,
    /// The line.
    pub line: String,
}

/// Keeps lines; what is not text becomes a replacement character, and overlong lines are cut. Lines of one attempt come
/// in their order and from one caller; keeping one again changes nothing.
pub async fn append_logs(connection: &mut PgConnection, lines: &[NewLogLine]) -> Result<(), QueueError> {
    let runs: Vec<_> = lines.iter().map(|line| line.run.raw()).collect();
    let tasks: Vec<i64> = lines.iter().map(|line| line.lease.task.raw()).collect();
    let attempts: Vec<i64> = lines.iter().map(|line| line.lease.attempt.raw()).collect();
    let numbers: Vec<i16> =
        lines.iter().map(|line| i16::try_from(line.attempt_number).unwrap_or(i16::MAX)).collect();
    let places: Vec<i64> = lines.iter().map(|line| line.seq).collect();
    let times: Vec<DateTime<Utc>> = lines.iter().map(|line| line.logged_at).collect();
    let texts: Vec<String> = lines
        .iter()
        .map(|line| line.line.replace('\0', "\u{fffd}").chars().take(LOG_LINE_LENGTH_MAX).collect())
        .collect();
    sqlx::query_file!(
        "../../sql/queue/append_logs.sql",
        &runs,
        &tasks,
        &attempts,
        &numbers,
        &places,
        &times,
        &texts
    )
    .execute(connection)
    .await?;
    Ok(())
}
