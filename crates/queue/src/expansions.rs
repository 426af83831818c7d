//! The scheduler's side: what an expansion reads, and the acknowledgements that only the scheduler gives.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, types::Json};
use tale_primitives::{AttemptId, RunId, TaskId, UtcDay};

use crate::{Lease, NewTask, Priority, QueueError, cache::note_cache_keys};

/// What an expansion needs to know of its run.
#[derive(Debug, Clone)]
pub struct RunContext {
    /// The run.
    pub id: RunId,
    /// The pipeline version that it executes.
    pub version_id: i64,
    /// The pipeline's name.
    pub pipeline: String,
    /// The resolved parameters, a JSON object.
    pub params: Value,
    /// The UTC day that the run is about.
    pub logical_date: UtcDay,
    /// The instant at which a schedule had it start.
    pub fire_time: Option<DateTime<Utc>>,
    /// How urgent its tasks are.
    pub priority: Priority,
    /// The run whose task waits for it.
    pub parent_run: Option<RunId>,
    /// How deeply it is nested: 1 for a run without a parent.
    pub depth: u32,
}

/// How far a sequence has come.
#[derive(Debug, Clone)]
pub struct SequenceState {
    /// The index of the item to start next.
    pub next_index: u32,
    /// The outputs of the item before it; null for the first.
    pub previous: Value,
}

/// The run's parameters and version.
pub async fn run_context(connection: &mut PgConnection, run: RunId) -> Result<RunContext, QueueError> {
    let row = sqlx::query_file!("../../sql/queue/find_run_context.sql", run.raw())
        .fetch_optional(connection)
        .await?
        .ok_or(QueueError::UnknownRun(run))?;
    Ok(RunContext {
        id: run,
        version_id: row.version_id,
        pipeline: row.pipeline,
        params: row.params,
        logical_date: UtcDay::from_date(row.logical_date),
        fire_time: row.fire_time,
        priority: Priority::from_raw(row.priority),
        parent_run: row.parent_run.map(RunId::from_raw),
        depth: row.depth as u32,
    })
}

/// The outputs of the named steps: a list with one entry per task by index, or null for a step that was skipped.
pub async fn step_outputs(
    connection: &mut PgConnection,
    run: RunId,
    steps: &[String],
) -> Result<BTreeMap<String, Value>, QueueError> {
    let rows =
        sqlx::query_file!("../../sql/queue/step_outputs.sql", run.raw(), steps).fetch_all(connection).await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let outputs =
                if row.skipped { Value::Null } else { row.outputs.unwrap_or_else(|| Value::Array(vec![])) };
            (row.name, outputs)
        })
        .collect())
}

/// How far the sequence of this step has come.
pub async fn sequence_state(
    connection: &mut PgConnection,
    run: RunId,
    step: u16,
) -> Result<SequenceState, QueueError> {
    let row = sqlx::query_file!("../../sql/queue/sequence_state.sql", run.raw(), step as i16)
        .fetch_one(connection)
        .await?;
    Ok(SequenceState { next_index: row.started as u32, previous: row.previous.unwrap_or(Value::Null) })
}

/// Acknowledges an expansion: records that the step has `total` tasks and queues `tasks`, or skips the step (`None`).
///
/// False says that the lease was lost and nothing was done.
pub async fn expand_step(
    connection: &mut PgConnection,
    lease: Lease,
    expansion: Option<(u32, &[NewTask])>,
) -> Result<bool, QueueError> {
    let (total, tasks) = expansion.unwrap_or((0, &[]));
    let indexes: Vec<i32> = tasks.iter().map(|task| task.index as i32).collect();
    let arguments: Vec<Json<&Value>> = tasks.iter().map(|task| Json(&task.arguments)).collect();
    let limit_keys: Vec<Option<&str>> = tasks.iter().map(|task| task.limit_key.as_deref()).collect();
    let is_held = sqlx::query_file_scalar!(
        "../../sql/queue/expand_step.sql",
        lease.task.raw(),
        lease.attempt.raw(),
        expansion.is_none(),
        total as i32,
        &indexes,
        arguments.as_slice() as &[Json<&Value>],
        limit_keys.as_slice() as &[Option<&str>]
    )
    .fetch_one(&mut *connection)
    .await?;
    if is_held {
        // in the caller's transaction: nobody claims them before
        note_cache_keys(connection, lease.task, tasks).await?;
    }
    Ok(is_held)
}

/// Fails a step whose expressions could not be evaluated.
pub async fn fail_expansion(
    connection: &mut PgConnection,
    lease: Lease,
    error: &str,
) -> Result<bool, QueueError> {
    Ok(sqlx::query_file_scalar!(
        "../../sql/queue/fail_expansion.sql",
        lease.task.raw(),
        lease.attempt.raw(),
        error
    )
    .fetch_one(connection)
    .await?)
}

/// Ends the implicit step `@outputs`: `outputs` becomes the run's.
pub async fn publish_outputs(
    connection: &mut PgConnection,
    lease: Lease,
    outputs: &Value,
) -> Result<bool, QueueError> {
    Ok(sqlx::query_file_scalar!(
        "../../sql/queue/publish_outputs.sql",
        lease.task.raw(),
        lease.attempt.raw(),
        outputs
    )
    .fetch_one(connection)
    .await?)
}

/// Parks a task until its sub-run ends; the sub-run must be started in the same transaction.
pub async fn await_child(
    connection: &mut PgConnection,
    task: TaskId,
    attempt: AttemptId,
) -> Result<bool, QueueError> {
    Ok(sqlx::query_file_scalar!("../../sql/queue/await_child.sql", task.raw(), attempt.raw())
        .fetch_one(connection)
        .await?)
}
