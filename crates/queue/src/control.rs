//! What operators do: hold back, let go on, stop, answer, run again. Each is written to the audit log by its caller.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use tale_primitives::{RunId, TaskId};

use crate::{Lease, QueueError, claims::pool_id};

/// Keeps new tasks of a run from becoming ready, and parks those that are; false where it has ended or is paused.
pub async fn pause_run(connection: &mut PgConnection, run: RunId) -> Result<bool, QueueError> {
    let paused = sqlx::query_file_scalar!("../../sql/queue/pause_run.sql", run.raw())
        .fetch_one(&mut *connection)
        .await?;
    park_paused(connection).await?;
    Ok(paused)
}

/// Lets a paused run go on; false where it was not paused.
pub async fn resume_run(connection: &mut PgConnection, run: RunId) -> Result<bool, QueueError> {
    Ok(sqlx::query_file_scalar!("../../sql/queue/resume_run.sql", run.raw()).fetch_one(connection).await?)
}

/// Takes ready tasks of paused runs out of the queue; returns how many. A reconciler.
pub async fn park_paused(connection: &mut PgConnection) -> Result<u32, QueueError> {
    let parked = sqlx::query_file_scalar!("../../sql/queue/park_paused.sql").fetch_one(connection).await?;
    Ok(parked.unsigned_abs())
}

/// Lets nothing be claimed from a pool, or lets it be claimed again; false where that was so already.
pub async fn set_pool_paused(
    connection: &mut PgConnection,
    pool: &str,
    is_paused: bool,
) -> Result<bool, QueueError> {
    let pool = pool_id(connection, pool).await?;
    let changed = sqlx::query_file!("../../sql/queue/set_pool_paused.sql", pool, is_paused);
    Ok(changed.execute(connection).await?.rows_affected() > 0)
}

/// How many tasks of a pool may run at a time over all workers; `None` for no limit.
pub async fn set_pool_limit(
    connection: &mut PgConnection,
    pool: &str,
    leases_max: Option<u32>,
) -> Result<(), QueueError> {
    let pool = pool_id(connection, pool).await?;
    let limit = leases_max.map(|limit| limit as i32);
    sqlx::query_file!("../../sql/queue/set_pool_limit.sql", pool, limit).execute(connection).await?;
    Ok(())
}

/// Keeps new runs of a pipeline waiting, or lets them start; `None` where there is no such pipeline, else whether that
/// was a change.
pub async fn set_pipeline_paused(
    connection: &mut PgConnection,
    pipeline: &str,
    is_paused: bool,
) -> Result<Option<bool>, QueueError> {
    let changed = sqlx::query_file_scalar!("../../sql/queue/set_pipeline_paused.sql", pipeline, is_paused)
        .fetch_optional(&mut *connection)
        .await?;
    if changed == Some(true) && !is_paused {
        start_queued(connection, pipeline).await?;
    }
    Ok(changed)
}

/// How many runs of a pipeline go on at a time; `None` for no limit.
pub async fn set_pipeline_limit(
    connection: &mut PgConnection,
    pipeline: &str,
    runs_max: Option<u32>,
) -> Result<(), QueueError> {
    let limit = runs_max.map(|limit| limit as i32);
    let changed = sqlx::query_file!("../../sql/queue/set_pipeline_limit.sql", pipeline, limit)
        .execute(&mut *connection)
        .await?;
    if changed.rows_affected() > 0 {
        start_queued(connection, pipeline).await?;
    }
    Ok(())
}

async fn start_queued(connection: &mut PgConnection, pipeline: &str) -> Result<i32, QueueError> {
    Ok(sqlx::query_file_scalar!("../../sql/queue/start_queued.sql", pipeline).fetch_one(connection).await?)
}

/// Tells a run to stop; false where it has ended or was told before.
///
/// Commit this before [`sweep_cancelled`], which does the work: what is on its way meanwhile is then swept too.
pub async fn request_cancellation(connection: &mut PgConnection, run: RunId) -> Result<bool, QueueError> {
    Ok(sqlx::query_file_scalar!("../../sql/queue/request_cancellation.sql", run.raw())
        .fetch_one(connection)
        .await?)
}

/// Stops everything of cancelled runs and their sub-runs but their `finally` steps; says whether there was anything.
pub async fn sweep_cancelled(connection: &mut PgConnection) -> Result<bool, QueueError> {
    let swept = sqlx::query_file_scalar!("../../sql/queue/sweep_cancelled.sql").fetch_one(connection).await?;
    Ok(swept > 0)
}

/// Opens gates whose tokens came back and, `thoroughly`, frees places that nobody holds any more; says whether tasks
/// became ready. A reconciler.
pub async fn reconcile_gates(connection: &mut PgConnection, thoroughly: bool) -> Result<bool, QueueError> {
    let entered = sqlx::query_file_scalar!("../../sql/queue/reconcile_gates.sql", thoroughly)
        .fetch_one(connection)
        .await?;
    Ok(entered > 0)
}

/// Fails a task that waits for a limit whose places are all held by steps that wait for sub-runs which wait there
/// themselves: none of them would ever go on. Returns it, or nothing where there is none. A reconciler.
pub async fn break_deadlock(connection: &mut PgConnection) -> Result<Option<TaskId>, QueueError> {
    let broken = sqlx::query_file_scalar!("../../sql/queue/break_deadlock.sql").fetch_one(connection).await?;
    Ok(broken.map(TaskId::from_raw))
}

/// Opens gates at which acknowledgements of many limited tasks knocked; says whether there were any.
pub async fn answer_knocks(connection: &mut PgConnection) -> Result<bool, QueueError> {
    let answered =
        sqlx::query_file_scalar!("../../sql/queue/answer_knocks.sql").fetch_one(connection).await?;
    Ok(answered > 0)
}

/// Which steps of an ended run to run again.
#[derive(Debug, Clone, Default)]
pub struct Again {
    /// These steps by name, beside those that did not end well; everything after them follows.
    pub from: Vec<String>,
    /// Of fan-outs that have run, only the tasks that failed.
    pub only_failed: bool,
}

/// Runs an ended run again from where it did not end well; returns how many steps that concerns, 0 where there is
/// nothing to run again or the run has not ended.
pub async fn retry_run(connection: &mut PgConnection, run: RunId, again: &Again) -> Result<u32, QueueError> {
    let mut indexes = Vec::with_capacity(again.from.len());
    for name in &again.from {
        let index = sqlx::query_file_scalar!("../../sql/queue/find_step.sql", run.raw(), name)
            .fetch_optional(&mut *connection)
            .await?;
        indexes.push(index.ok_or_else(|| QueueError::UnknownStep { run, step: name.clone() })?);
    }
    let steps =
        sqlx::query_file_scalar!("../../sql/queue/retry_run.sql", run.raw(), &indexes, again.only_failed)
            .fetch_one(connection)
            .await?;
    Ok(steps.unsigned_abs())
}

/// The answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The run goes on.
    Approved,
    /// The step fails.
    Rejected,
}

impl Decision {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Decision {
    type Err = QueueError;

    fn from_str(text: &str) -> Result<Self, QueueError> {
        match text {
            "approved" => Ok(Self::Approved),
            "rejected" => Ok(Self::Rejected),
            _ => Err(QueueError::Unreadable { what: "approval.decision", value: text.to_owned() }),
        }
    }
}

/// A question to a person.
#[derive(Debug, Clone)]
pub struct Question {
    /// What is asked.
    pub prompt: Option<String>,
    /// How long to wait, in milliseconds; for ever unless given.
    pub timeout_ms: Option<u64>,
    /// What the time-out decides.
    pub on_timeout: Decision,
}

/// An open question, for listings.
#[derive(Debug, Clone, Serialize)]
pub struct OpenQuestion {
    /// The run.
    pub run: RunId,
    /// Its pipeline.
    pub pipeline: String,
    /// The step.
    pub step: String,
    /// The place in the step's fan-out.
    pub index: i32,
    /// What is asked.
    pub prompt: Option<String>,
    /// Since when.
    pub requested_at: DateTime<Utc>,
    /// When the time-out decides.
    pub due_at: Option<DateTime<Utc>>,
    #[serde(skip)]
    task: TaskId,
}

/// Parks a task until a person, or the time-out, decides; false says that the lease was lost.
pub async fn await_approval(
    connection: &mut PgConnection,
    lease: Lease,
    question: &Question,
) -> Result<bool, QueueError> {
    Ok(sqlx::query_file_scalar!(
        "../../sql/queue/await_approval.sql",
        lease.task.raw(),
        lease.attempt.raw(),
        question.prompt,
        question.timeout_ms.map(|ms| ms as i64),
        question.on_timeout.as_str()
    )
    .fetch_one(connection)
    .await?)
}

/// Open questions, the oldest first; of one run where that is given.
pub async fn open_questions(
    connection: &mut PgConnection,
    run: Option<RunId>,
) -> Result<Vec<OpenQuestion>, QueueError> {
    let rows = sqlx::query_file!("../../sql/queue/list_questions.sql", run.map(RunId::raw))
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| OpenQuestion {
            run: RunId::from_raw(row.run_id),
            pipeline: row.pipeline,
            step: row.step,
            index: row.index,
            prompt: row.prompt,
            requested_at: row.requested_at,
            due_at: row.due_at,
            task: TaskId::from_raw(row.task_id),
        })
        .collect())
}

/// Answers these questions; returns how many were still open.
pub async fn decide(
    connection: &mut PgConnection,
    questions: &[OpenQuestion],
    decision: Decision,
    by: &str,
    reason: Option<&str>,
) -> Result<u32, QueueError> {
    let tasks: Vec<i64> = questions.iter().map(|question| question.task.raw()).collect();
    let answered =
        sqlx::query_file_scalar!("../../sql/queue/decide.sql", &tasks, decision.as_str(), by, reason)
            .fetch_one(connection)
            .await?;
    Ok(answered.len() as u32)
}

/// Decides what nobody has answered in time; says whether there was anything.
pub async fn expire_approvals(connection: &mut PgConnection) -> Result<bool, QueueError> {
    let expired =
        sqlx::query_file_scalar!("../../sql/queue/expire_approvals.sql").fetch_one(connection).await?;
    Ok(expired > 0)
}

/// One thing that an operator did.
#[derive(Debug, Clone, Serialize)]
pub struct AuditEntry {
    /// When.
    pub at: DateTime<Utc>,
    /// Who, as the machine knows them.
    pub actor: String,
    /// What, such as `run.cancel`.
    pub action: String,
    /// To what: a run's id, a pipeline's or a pool's name.
    pub subject: String,
    /// With what.
    pub details: Value,
}

/// Adds to the audit log, in the transaction of what it records.
pub async fn record(
    connection: &mut PgConnection,
    actor: &str,
    action: &str,
    subject: &str,
    details: &Value,
) -> Result<(), QueueError> {
    sqlx::query_file!("../../sql/queue/record.sql", actor, action, subject, details)
        .execute(connection)
        .await?;
    Ok(())
}

/// The newest entries of the audit log, of one subject where that is given.
pub async fn read_audit(
    connection: &mut PgConnection,
    subject: Option<&str>,
    limit: u32,
) -> Result<Vec<AuditEntry>, QueueError> {
    Ok(sqlx::query_file_as!(AuditEntry, "../../sql/queue/read_audit.sql", subject, i64::from(limit))
        .fetch_all(connection)
        .await?)
}
