//! Deadlines of runs, and the alerts about those that went on past them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use tale_primitives::{RunId, UtcDay};

use crate::{QueueError, RunState};

/// By when a run is to have ended.
#[derive(Debug, Clone)]
pub struct NewDeadline {
    /// How long after the time of its fire or, without one, its start, in milliseconds.
    pub after_ms: u64,
    /// Whether it is then told to stop.
    pub cancels: bool,
    /// What is run then; the queue keeps it as it is, but for `run`, the pipeline's name.
    pub hook: Option<Value>,
}

/// A run that goes on past its deadline, for which an alert has just been raised.
#[derive(Debug, Clone)]
pub struct MissedDeadline {
    /// The alert.
    pub alert: i64,
    /// The run.
    pub run: RunId,
    /// Its pipeline.
    pub pipeline: String,
    /// The UTC day that it is about.
    pub logical_date: UtcDay,
    /// When it was to have ended.
    pub due_at: DateTime<Utc>,
    /// What it does instead.
    pub state: RunState,
    /// What is to be run now.
    pub hook: Option<Value>,
}

/// An alert, for listings.
#[derive(Debug, Clone, Serialize)]
pub struct AlertReport {
    /// Its number.
    pub id: i64,
    /// The run.
    pub run: RunId,
    /// The run's pipeline.
    pub pipeline: String,
    /// Whether the run goes on, and how it ended.
    pub state: RunState,
    /// Why it was raised: deadline.
    pub kind: String,
    /// When the run was to have ended.
    pub due_at: DateTime<Utc>,
    /// When it was raised.
    pub raised_at: DateTime<Utc>,
    /// Whether the run was told to stop.
    pub cancelled: bool,
    /// The pipeline that was to run then.
    pub hook_pipeline: Option<String>,
    /// The run of that pipeline.
    pub hook_run: Option<RunId>,
    /// Why that run could not start.
    pub hook_error: Option<String>,
    /// When the run ended after all.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Gives a run its deadline; call it in the transaction that starts the run.
pub async fn set_deadline(
    connection: &mut PgConnection,
    run: RunId,
    deadline: &NewDeadline,
) -> Result<(), QueueError> {
    sqlx::query_file!(
        "../../sql/queue/insert_deadline.sql",
        run.raw(),
        deadline.after_ms as f64,
        deadline.cancels,
        deadline.hook
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives a run another deadline than its pipeline's, in milliseconds after its start.
pub async fn move_deadline(
    connection: &mut PgConnection,
    run: RunId,
    after_ms: u64,
) -> Result<(), QueueError> {
    sqlx::query_file!("../../sql/queue/move_deadline.sql", run.raw(), after_ms as f64)
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes a run's deadline away, for one that starts long after its time by intention.
pub async fn drop_deadline(connection: &mut PgConnection, run: RunId) -> Result<(), QueueError> {
    sqlx::query_file!("../../sql/queue/drop_deadline.sql", run.raw()).execute(connection).await?;
    Ok(())
}

/// By when a run that goes on is to have ended; nothing where that is past.
pub async fn find_deadline(
    connection: &mut PgConnection,
    run: RunId,
) -> Result<Option<DateTime<Utc>>, QueueError> {
    Ok(sqlx::query_file_scalar!("../../sql/queue/find_deadline.sql", run.raw())
        .fetch_optional(connection)
        .await?)
}

/// Whether some deadline has come that nobody has dealt with.
pub async fn is_deadline_due(connection: &mut PgConnection) -> Result<bool, QueueError> {
    Ok(sqlx::query_file_scalar!("../../sql/queue/is_deadline_due.sql").fetch_one(connection).await?)
}

/// Raises an alert for each of up to `limit` runs that go on past their deadlines, and tells those to stop that are to.
///
/// Each is given to one caller, once; start its hook and call [`record_hook`] in the same transaction.
pub async fn pass_deadlines(
    connection: &mut PgConnection,
    limit: u32,
) -> Result<Vec<MissedDeadline>, QueueError> {
    let rows =
        sqlx::query_file!("../../sql/queue/pass_deadlines.sql", limit as i32).fetch_all(connection).await?;
    rows.into_iter()
        .map(|row| {
            Ok(MissedDeadline {
                alert: row.alert_id,
                run: RunId::from_raw(row.run_id),
                pipeline: row.pipeline,
                logical_date: UtcDay::from_date(row.logical_date),
                due_at: row.due_at,
                state: row.state.parse()?,
                hook: row.hook,
            })
        })
        .collect()
}

/// Records what became of the run that an alert was to start: its id, or why it could not.
pub async fn record_hook(
    connection: &mut PgConnection,
    alert: i64,
    started: Result<RunId, String>,
) -> Result<(), QueueError> {
    let (run, error) = match started {
        Ok(run) => (Some(run.raw()), None),
        Err(error) => (None, Some(error)),
    };
    sqlx::query_file!("../../sql/queue/record_hook.sql", alert, run, error).execute(connection).await?;
    Ok(())
}

/// Alerts, the newest first; only those of a run or of a pipeline's runs, where one is given.
pub async fn list_alerts(
    connection: &mut PgConnection,
    run: Option<RunId>,
    pipeline: Option<&str>,
    limit: u32,
) -> Result<Vec<AlertReport>, QueueError> {
    let rows = sqlx::query_file!(
        "../../sql/queue/list_alerts.sql",
        run.map(|run| run.raw()),
        pipeline,
        i64::from(limit)
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(AlertReport {
                id: row.id,
                run: RunId::from_raw(row.run_id),
                pipeline: row.pipeline,
                state: row.state.parse()?,
                kind: row.kind,
                due_at: row.due_at,
                raised_at: row.raised_at,
                cancelled: row.cancelled,
                hook_pipeline: row.hook_pipeline,
                hook_run: row.hook_run.map(RunId::from_raw),
                hook_error: row.hook_error,
                finished_at: row.finished_at,
            })
        })
        .collect()
}

/// Which of these runs went on past their deadlines.
pub async fn late_runs(connection: &mut PgConnection, runs: &[RunId]) -> Result<Vec<RunId>, QueueError> {
    let ids: Vec<_> = runs.iter().map(|run| run.raw()).collect();
    let late =
        sqlx::query_file_scalar!("../../sql/queue/list_late_runs.sql", &ids).fetch_all(connection).await?;
    Ok(late.into_iter().map(RunId::from_raw).collect())
}

/// Fails tasks whose attempts have used up the time that they have together; returns how many.
pub async fn stop_overdue(connection: &mut PgConnection) -> Result<u32, QueueError> {
    let stopped = sqlx::query_file_scalar!("../../sql/queue/stop_overdue.sql").fetch_one(connection).await?;
    Ok(stopped.unsigned_abs())
}
