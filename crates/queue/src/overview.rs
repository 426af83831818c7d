//! One run without its tasks, of which there may be a million.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use tale_primitives::{Digest, RunId, UtcDay};

use crate::{Priority, QueueError, RunState, StepReport, reports::list_steps};

/// A run and its steps.
#[derive(Debug, Clone, Serialize)]
pub struct RunOverview {
    /// The run.
    pub id: RunId,
    /// Its pipeline.
    pub pipeline: String,
    /// The digest of the pipeline version that it executes.
    pub version: Digest,
    /// Whether it goes on, and how it ended.
    pub state: RunState,
    /// Whether it is held back.
    pub is_paused: bool,
    /// Its parameters.
    pub params: Value,
    /// Its deduplication key.
    pub dedup_key: Option<String>,
    /// The UTC day that it is about.
    pub logical_date: UtcDay,
    /// The instant at which a schedule had it start.
    pub fire_time: Option<DateTime<Utc>>,
    /// How urgent its tasks are.
    pub priority: Priority,
    /// Whose run it is.
    pub tenant: Option<String>,
    /// Who or what started it.
    pub trigger: String,
    /// Why, in their words.
    pub reason: Option<String>,
    /// The run whose task waits for it.
    pub parent_run: Option<RunId>,
    /// What it returned.
    pub outputs: Option<Value>,
    /// When it was started.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Its steps, by index.
    pub steps: Vec<StepReport>,
    /// Its first errors.
    pub failures: Vec<RunFailure>,
}

/// An error that stays.
#[derive(Debug, Clone, Serialize)]
pub struct RunFailure {
    /// The step's name.
    pub step: String,
    /// The task's place in the step's fan-out; nothing where the step could not be expanded.
    pub index: Option<i32>,
    /// What happened.
    pub error: String,
}

/// How many errors an overview has at most.
const FAILURES_MAX: i64 = 20;

/// A run and its steps.
pub async fn run_overview(connection: &mut PgConnection, run: RunId) -> Result<RunOverview, QueueError> {
    let row = sqlx::query_file!("../../sql/queue/find_run_overview.sql", run.raw())
        .fetch_optional(&mut *connection)
        .await?
        .ok_or(QueueError::UnknownRun(run))?;
    let version = <[u8; 32]>::try_from(row.digest.as_slice()).map_err(|_| QueueError::Unreadable {
        what: "pipeline_version.digest",
        value: row.version_id.to_string(),
    })?;
    let steps = list_steps(connection, run).await?;
    let has_failures = steps.iter().any(|step| step.tasks_failed > 0 || step.error.is_some());
    let failures = if has_failures { list_failures(connection, run).await? } else { vec![] };
    Ok(RunOverview {
        id: run,
        pipeline: row.pipeline,
        version: Digest::from_bytes(version),
        state: row.state.parse()?,
        is_paused: row.is_paused,
        params: row.params,
        dedup_key: row.dedup_key,
        logical_date: UtcDay::from_date(row.logical_date),
        fire_time: row.fire_time,
        priority: Priority::from_raw(row.priority),
        tenant: row.tenant,
        trigger: row.trigger,
        reason: row.reason,
        parent_run: row.parent_run.map(RunId::from_raw),
        outputs: row.outputs,
        created_at: row.created_at,
        finished_at: row.finished_at,
        steps,
        failures,
    })
}

async fn list_failures(connection: &mut PgConnection, run: RunId) -> Result<Vec<RunFailure>, QueueError> {
    let failures =
        sqlx::query_file_as!(RunFailure, "../../sql/queue/list_failures.sql", run.raw(), FAILURES_MAX);
    Ok(failures.fetch_all(connection).await?)
}
