//! What operators look at: runs, steps, tasks and attempts.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use tale_primitives::{AttemptId, Digest, RunId, TaskId, UtcDay, WorkerId};

use crate::{QueueError, RunState};

/// Which runs to list.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Only runs of this pipeline.
    pub pipeline: Option<String>,
    /// Only runs in this state.
    pub state: Option<RunState>,
    /// Sub-runs too.
    pub with_sub_runs: bool,
    /// Only runs that are older than this one: where the page before ended.
    pub before: Option<RunId>,
    /// At most this many, the newest first.
    pub limit: u32,
}

/// A run in a listing.
#[derive(Debug, Clone, Serialize)]
pub struct RunSummary {
    /// The run.
    pub id: RunId,
    /// Its pipeline.
    pub pipeline: String,
    /// Whether it goes on, and how it ended.
    pub state: RunState,
    /// Who or what started it.
    pub trigger: String,
    /// The UTC day that it is about.
    pub logical_date: UtcDay,
    /// How many steps it has.
    pub steps: i64,
    /// How many of them have not ended.
    pub open_steps: i32,
    /// How many failed or were barred by a failure.
    pub failed_steps: i32,
    /// When it was started.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Everything about one run.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// The run.
    pub id: RunId,
    /// Its pipeline.
    pub pipeline: String,
    /// The digest of the pipeline version that it executes.
    pub version: Digest,
    /// Whether it goes on, and how it ended.
    pub state: RunState,
    /// Its parameters.
    pub params: Value,
    /// Its deduplication key.
    pub dedup_key: Option<String>,
    /// The UTC day that it is about.
    pub logical_date: UtcDay,
    /// The instant at which a schedule had it start.
    pub fire_time: Option<DateTime<Utc>>,
    /// Who or what started it.
    pub trigger: String,
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
    /// Its tasks, by step and index.
    pub tasks: Vec<TaskReport>,
    /// Attempts that ended, in the order of their start.
    pub attempts: Vec<AttemptReport>,
}

/// One step of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepReport {
    /// Its place in the pipeline.
    pub index: i16,
    /// Its name.
    pub name: String,
    /// The task kind that it uses.
    pub kind: String,
    /// waiting, expanding, running, succeeded, failed, skipped or upstream_failed.
    pub state: String,
    /// Where its tasks run.
    pub pool: String,
    /// The steps that need it.
    pub dependents: Vec<i16>,
    /// Whether its tasks run one after another.
    pub sequence: bool,
    /// How many tasks it has, once that is known.
    pub tasks_total: i32,
    /// How many of them have not ended.
    pub tasks_open: i32,
    /// How many failed for good.
    pub tasks_failed: i32,
    /// Why it could not be expanded.
    pub error: Option<String>,
    /// When its needs were met.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// One task of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskReport {
    /// The task.
    pub id: TaskId,
    /// Its step's index.
    pub step: i16,
    /// Its place in the step's fan-out.
    pub index: i32,
    /// blocked, queued, running, delayed, waiting, succeeded, failed or cancelled.
    pub state: String,
    /// How many attempts ended in an error.
    pub attempts: i16,
    /// How many workers died while running it.
    pub crashes: i16,
    /// The last error.
    pub error: Option<String>,
    /// What it returned.
    pub outputs: Option<Value>,
    /// The sub-run that it waits or waited for.
    pub child_run: Option<RunId>,
    /// When its first attempt started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// One attempt that ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AttemptReport {
    /// The task.
    #[serde(alias = "task_id")]
    pub task: TaskId,
    /// The fencing token.
    #[serde(alias = "attempt_id")]
    pub attempt: AttemptId,
    /// The worker process.
    #[serde(alias = "worker_id")]
    pub worker: WorkerId,
    /// When the task was claimed.
    pub started_at: DateTime<Utc>,
    /// When the attempt ended.
    pub ended_at: DateTime<Utc>,
    /// succeeded, failed, retried, lost, released or waiting.
    pub outcome: String,
    /// Its error.
    pub error: Option<String>,
    /// The class of the error, where the task told it.
    pub class: Option<String>,
}

/// Whether a run goes on, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunStanding {
    /// The run.
    pub run: RunId,
    /// Its state.
    pub state: RunState,
    /// Whether it has ended.
    pub is_over: bool,
}

/// How far a run and its sub-runs have come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunProgress {
    /// Tasks known so far.
    pub tasks: i64,
    /// Tasks that ended.
    pub tasks_done: i64,
    /// The names of the steps that run now.
    pub running: Option<String>,
}

/// A sub-run of a step.
#[derive(Debug, Clone)]
pub struct ChildRun {
    /// The sub-run.
    pub id: RunId,
    /// Its place in the step's fan-out.
    pub index: i32,
    /// Whether it goes on, and how it ended.
    pub state: RunState,
    /// What it returned.
    pub outputs: Option<Value>,
}

/// The most tasks, and the most attempts, that one report lists.
const ROWS_MAX: i64 = 100_000;

/// The newest runs that match `filter`.
pub async fn list_runs(
    connection: &mut PgConnection,
    filter: &RunFilter,
) -> Result<Vec<RunSummary>, QueueError> {
    let rows = sqlx::query_file!(
        "../../sql/queue/list_runs.sql",
        filter.pipeline,
        filter.state.map(RunState::as_str),
        filter.with_sub_runs,
        i64::from(filter.limit),
        filter.before.map(RunId::raw)
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(RunSummary {
                id: RunId::from_raw(row.id),
                pipeline: row.pipeline,
                state: row.state.parse()?,
                trigger: row.trigger,
                logical_date: UtcDay::from_date(row.logical_date),
                steps: row.steps,
                open_steps: row.open_steps,
                failed_steps: row.failed_steps,
                created_at: row.created_at,
                finished_at: row.finished_at,
            })
        })
        .collect()
}

/// Whether a run goes on, and what it returned.
pub async fn run_state(
    connection: &mut PgConnection,
    run: RunId,
) -> Result<(RunState, Option<Value>), QueueError> {
    let row = sqlx::query_file!("../../sql/queue/run_state.sql", run.raw())
        .fetch_optional(connection)
        .await?
        .ok_or(QueueError::UnknownRun(run))?;
    Ok((row.state.parse()?, row.outputs))
}

/// Whether each of these runs goes on, and how it ended; runs that are not there any more are left out.
pub async fn run_states(
    connection: &mut PgConnection,
    runs: &[RunId],
) -> Result<Vec<RunStanding>, QueueError> {
    let ids: Vec<_> = runs.iter().map(|run| run.raw()).collect();
    let rows = sqlx::query_file!("../../sql/queue/list_run_states.sql", &ids).fetch_all(connection).await?;
    rows.into_iter()
        .map(|row| {
            Ok(RunStanding { run: RunId::from_raw(row.id), state: row.state.parse()?, is_over: row.is_over })
        })
        .collect()
}

/// How far a run and its sub-runs have come.
pub async fn run_progress(connection: &mut PgConnection, run: RunId) -> Result<RunProgress, QueueError> {
    let row = sqlx::query_file!("../../sql/queue/run_progress.sql", run.raw()).fetch_one(connection).await?;
    Ok(RunProgress { tasks: row.tasks, tasks_done: row.tasks_done, running: row.running })
}

/// The sub-runs of the step `step`, in the order of its items.
pub async fn child_runs(
    connection: &mut PgConnection,
    run: RunId,
    step: &str,
) -> Result<Vec<ChildRun>, QueueError> {
    let rows = sqlx::query_file!("../../sql/queue/list_child_runs.sql", run.raw(), step)
        .fetch_all(connection)
        .await?;
    rows.into_iter()
        .map(|row| {
            Ok(ChildRun {
                id: RunId::from_raw(row.id),
                index: row.index,
                state: row.state.parse()?,
                outputs: row.outputs,
            })
        })
        .collect()
}

/// Everything about one run.
pub async fn run_report(connection: &mut PgConnection, run: RunId) -> Result<RunReport, QueueError> {
    let row = sqlx::query_file!("../../sql/queue/find_run.sql", run.raw())
        .fetch_optional(&mut *connection)
        .await?
        .ok_or(QueueError::UnknownRun(run))?;
    let version = <[u8; 32]>::try_from(row.digest.as_slice()).map_err(|_| QueueError::Unreadable {
        what: "pipeline_version.digest",
        value: row.version_id.to_string(),
    })?;
    Ok(RunReport {
        id: run,
        pipeline: row.pipeline,
        version: Digest::from_bytes(version),
        state: row.state.parse()?,
        params: row.params,
        dedup_key: row.dedup_key,
        logical_date: UtcDay::from_date(row.logical_date),
        fire_time: row.fire_time,
        trigger: row.trigger,
        parent_run: row.parent_run.map(RunId::from_raw),
        outputs: row.outputs,
        created_at: row.created_at,
        finished_at: row.finished_at,
        steps: list_steps(connection, run).await?,
        tasks: list_tasks(connection, run).await?,
        attempts: list_attempts(connection, run).await?,
    })
}

pub(crate) async fn list_steps(
    connection: &mut PgConnection,
    run: RunId,
) -> Result<Vec<StepReport>, QueueError> {
    Ok(sqlx::query_file_as!(StepReport, "../../sql/queue/list_steps.sql", run.raw())
        .fetch_all(connection)
        .await?)
}

async fn list_tasks(connection: &mut PgConnection, run: RunId) -> Result<Vec<TaskReport>, QueueError> {
    let rows = sqlx::query_file!("../../sql/queue/list_tasks.sql", run.raw(), ROWS_MAX)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| TaskReport {
            id: TaskId::from_raw(row.id),
            step: row.step,
            index: row.index,
            state: if row.leased_by.is_some() { "running".to_owned() } else { row.state },
            attempts: row.attempts,
            crashes: row.crashes,
            error: row.error,
            outputs: row.outputs,
            child_run: row.child_run.map(RunId::from_raw),
            started_at: row.started_at.or(row.leased_at),
            finished_at: row.finished_at,
        })
        .collect())
}

async fn list_attempts(connection: &mut PgConnection, run: RunId) -> Result<Vec<AttemptReport>, QueueError> {
    let rows = sqlx::query_file!("../../sql/queue/list_attempts.sql", run.raw(), ROWS_MAX)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| AttemptReport {
            task: TaskId::from_raw(row.task_id),
            attempt: AttemptId::from_raw(row.attempt_id),
            worker: WorkerId::from_raw(row.worker_id),
            started_at: row.started_at,
            ended_at: row.ended_at,
            outcome: row.outcome,
            error: row.error,
            class: row.class,
        })
        .collect())
}

/// What is left to do in the whole queue.
#[derive(Debug, Clone, Serialize)]
pub struct Backlog {
    /// Runs that have not ended.
    pub runs_open: i64,
    /// Tasks of open steps that have not ended; steps that wait are not counted.
    pub tasks_open: i64,
    /// Steps whose tasks are being inserted, or are yet to be found.
    pub steps_expanding: i64,
    /// When the last run ended, by the database's clock.
    pub last_run_ended_at: Option<DateTime<Utc>>,
    /// The database's clock.
    pub now: DateTime<Utc>,
}

/// Counts what is left to do; reads every step, so it is for benchmarks and tools, not for every second.
pub async fn read_backlog(connection: &mut PgConnection) -> Result<Backlog, QueueError> {
    Ok(sqlx::query_file_as!(Backlog, "../../sql/queue/read_backlog.sql").fetch_one(connection).await?)
}
