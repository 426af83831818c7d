//! Starts and ends of runs, kept until they were told to those who keep lineage elsewhere.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tale_primitives::RunId;

use crate::QueueError;

/// What happened to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It started, or goes on after a retry.
    Started,
    /// It ended well.
    Succeeded,
    /// It failed.
    Failed,
    /// It was stopped.
    Cancelled,
}

/// The start or the end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunNews {
    /// Its place in the order.
    pub id: i64,
    /// The run.
    pub run: RunId,
    /// Its pipeline.
    pub pipeline: String,
    /// What happened.
    pub news: News,
    /// When.
    pub at: DateTime<Utc>,
    /// When the run was started.
    pub started_at: DateTime<Utc>,
    /// The instant at which a schedule had it start.
    pub fire_time: Option<DateTime<Utc>>,
    /// The run that waits for it, and that run's pipeline.
    pub parent: Option<(RunId, String)>,
    /// The error of one of the tasks of a failed run.
    pub error: Option<String>,
}

/// Has news kept from now on, or no longer; says whether that is new. Without it they cost nothing.
///
/// What was kept and not told goes when they are kept no longer.
pub async fn keep_run_news(connection: &mut PgConnection, keep: bool) -> Result<bool, QueueError> {
    Ok(sqlx::query_file_scalar!("../../sql/queue/keep_run_news.sql", keep).fetch_one(connection).await?)
}

/// Takes the lock under which one process tells news; false where another has it. It ends with the session.
pub async fn lock_run_news(connection: &mut PgConnection) -> Result<bool, QueueError> {
    Ok(sqlx::query_file_scalar!("../../sql/queue/lock_run_news.sql").fetch_one(connection).await?)
}

/// The first `limit` news that were not told, in their order.
pub async fn list_run_news(connection: &mut PgConnection, limit: u32) -> Result<Vec<RunNews>, QueueError> {
    let rows = sqlx::query_file!("../../sql/queue/list_run_news.sql", i64::from(limit))
        .fetch_all(connection)
        .await?;
    rows.into_iter()
        .map(|row| {
            Ok(RunNews {
                id: row.id,
                run: RunId::from_raw(row.run_id),
                pipeline: row.pipeline,
                news: match row.event.as_str() {
                    "started" => News::Started,
                    "succeeded" => News::Succeeded,
                    "failed" => News::Failed,
                    "cancelled" => News::Cancelled,
                    _ => return Err(QueueError::Unreadable { what: "run_news.event", value: row.event }),
                },
                at: row.at,
                started_at: row.started_at,
                fire_time: row.fire_time,
                parent: row.parent_run.map(RunId::from_raw).zip(row.parent_pipeline),
                error: row.error,
            })
        })
        .collect()
}

/// Forgets news that were told.
pub async fn forget_run_news(connection: &mut PgConnection, id: i64) -> Result<(), QueueError> {
    sqlx::query_file!("../../sql/queue/forget_run_news.sql", id).execute(connection).await?;
    Ok(())
}
