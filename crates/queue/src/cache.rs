//! Results that are kept: what is looked up when an attempt starts, and what its acknowledgement keeps.

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use tale_primitives::{Digest, RunId, TaskId};

use crate::{NewRun, NewTask, QueueError};

/// How the results of a step's tasks are kept and taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CachePolicy {
    /// How old a result may be that is taken, in milliseconds.
    pub ttl_ms: Option<u64>,
}

/// What a task could take.
#[derive(Debug, Clone)]
pub struct CacheLookup {
    /// Whether the step keeps and takes results at all.
    pub caches: bool,
    /// Whether the run takes any; its results are kept all the same.
    pub uses_cache: bool,
    /// How old a result may be.
    pub ttl: Option<Duration>,
    /// What the step says that the result is known by.
    pub written_key: Option<String>,
    /// The key under which the task's result is kept.
    pub key: Digest,
    /// The result under this key, however old.
    pub found: Option<KeptResult>,
    /// The newest result of the step, under whatever key.
    pub newest: Option<NewestResult>,
}

/// A result that was kept.
#[derive(Debug, Clone)]
pub struct KeptResult {
    /// What the task returned.
    pub outputs: Value,
    /// Its artifacts, as their publisher wrote them.
    pub artifacts: Value,
    /// Where it was computed.
    pub run: RunId,
    /// By which task.
    pub task: TaskId,
    /// How long ago, by the database's clock.
    pub age: Duration,
}

/// What the newest result of a step was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewestResult {
    /// The kind.
    pub kind: String,
    /// The kind's version.
    pub kind_version: u32,
    /// The inputs; nothing where they were too long to be kept.
    pub inputs: Option<Value>,
}

/// A result to keep.
#[derive(Debug, Clone)]
pub struct NewCachedResult {
    /// The pipeline within which it may be taken.
    pub pipeline: String,
    /// The step.
    pub step: String,
    /// What it is known by.
    pub key: Digest,
    /// The kind that computed it.
    pub kind: String,
    /// The kind's version.
    pub kind_version: u32,
    /// What it was made from, for saying later what differs.
    pub inputs: Option<Value>,
    /// What the task returned.
    pub outputs: Value,
    /// Its artifacts, as their publisher reads them.
    pub artifacts: Value,
    /// Where it was computed.
    pub run: RunId,
    /// By which task.
    pub task: TaskId,
}

/// Why a task took a result that was kept, or did not.
#[derive(Debug, Clone, Serialize)]
pub struct CacheDecision {
    /// The task.
    pub task: TaskId,
    /// Its step's index.
    pub step: i16,
    /// Its place in the step's fan-out.
    pub index: i32,
    /// Whether it took a result.
    pub is_hit: bool,
    /// Why, in words.
    pub reason: String,
    /// The run that computed what it took.
    pub from_run: Option<RunId>,
    /// The task that computed it.
    pub from_task: Option<TaskId>,
}

/// A kept result, for listings.
#[derive(Debug, Clone, Serialize)]
pub struct CachedResult {
    /// The pipeline within which it may be taken.
    pub pipeline: String,
    /// The step.
    pub step: String,
    /// What it is known by.
    pub key: Digest,
    /// The kind that computed it.
    pub kind: String,
    /// The kind's version.
    pub kind_version: i32,
    /// Where it was computed.
    pub run: RunId,
    /// By which task.
    pub task: TaskId,
    /// How many artifacts it has.
    pub artifacts: i32,
    /// How long its outputs are, as JSON.
    pub outputs_bytes: i32,
    /// When it was computed.
    pub created_at: DateTime<Utc>,
}

/// Looks up what a task could take. `content` is the digest of its kind, version and inputs; where the step gives a key
/// of its own, that is digested behind `prefix` instead.
pub async fn look_up_result(
    connection: &mut PgConnection,
    task: TaskId,
    content: Digest,
    prefix: &str,
) -> Result<CacheLookup, QueueError> {
    let row = sqlx::query_file!(
        "../../sql/queue/look_up_result.sql",
        task.raw(),
        content.as_bytes().as_slice(),
        prefix
    )
    .fetch_one(connection)
    .await?;
    let found = match (row.run_id, row.task_id) {
        (Some(run), Some(from)) => Some(KeptResult {
            outputs: row.outputs.unwrap_or(Value::Null),
            artifacts: row.artifacts.unwrap_or(Value::Null),
            run: RunId::from_raw(run),
            task: TaskId::from_raw(from),
            age: Duration::try_from_secs_f64(row.age_seconds.unwrap_or(0.0)).unwrap_or_default(),
        }),
        _ => None,
    };
    let newest = match (row.newest_kind, row.newest_kind_version) {
        (Some(kind), Some(version)) => {
            Some(NewestResult { kind, kind_version: version.unsigned_abs(), inputs: row.newest_inputs })
        }
        _ => None,
    };
    Ok(CacheLookup {
        caches: row.caches,
        uses_cache: row.uses_cache,
        ttl: row.cache_ttl_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())),
        written_key: row.cache_key,
        key: stored_digest(&row.key)?,
        found,
        newest,
    })
}

/// Keeps a result; to be called in the transaction of its winning acknowledgement alone.
pub async fn keep_result(connection: &mut PgConnection, result: &NewCachedResult) -> Result<(), QueueError> {
    sqlx::query_file!(
        "../../sql/queue/keep_result.sql",
        result.pipeline,
        result.step,
        result.key.as_bytes().as_slice(),
        result.kind,
        i32::try_from(result.kind_version).unwrap_or(i32::MAX),
        result.inputs,
        result.outputs,
        result.artifacts,
        result.run.raw(),
        result.task.raw()
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes why a task took a result, from which run and task, or why it did not.
pub async fn note_cache_decision(
    connection: &mut PgConnection,
    task: TaskId,
    reason: &str,
    from: Option<(RunId, TaskId)>,
) -> Result<(), QueueError> {
    sqlx::query_file!(
        "../../sql/queue/note_cache_decision.sql",
        task.raw(),
        from.is_some(),
        reason,
        from.map(|(run, _)| run.raw()),
        from.map(|(_, task)| task.raw())
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The most rows that one listing has.
const ROWS_MAX: i64 = 10_000;

/// Why the tasks of a run took results or did not, by step and index.
pub async fn cache_decisions(
    connection: &mut PgConnection,
    run: RunId,
) -> Result<Vec<CacheDecision>, QueueError> {
    let rows = sqlx::query_file!("../../sql/queue/list_cache_decisions.sql", run.raw(), ROWS_MAX)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| CacheDecision {
            task: TaskId::from_raw(row.task_id),
            step: row.step,
            index: row.index,
            is_hit: row.is_hit,
            reason: row.reason,
            from_run: row.from_run.map(RunId::from_raw),
            from_task: row.from_task.map(TaskId::from_raw),
        })
        .collect())
}

/// The results that are kept, the newest of each step first: of all pipelines, of one, or of one step of it.
pub async fn list_cached_results(
    connection: &mut PgConnection,
    pipeline: Option<&str>,
    step: Option<&str>,
) -> Result<Vec<CachedResult>, QueueError> {
    let rows = sqlx::query_file!("../../sql/queue/list_cached_results.sql", pipeline, step, ROWS_MAX)
        .fetch_all(connection)
        .await?;
    rows.into_iter()
        .map(|row| {
            Ok(CachedResult {
                key: stored_digest(&row.key)?,
                pipeline: row.pipeline,
                step: row.step,
                kind: row.kind,
                kind_version: row.kind_version,
                run: RunId::from_raw(row.run_id),
                task: TaskId::from_raw(row.task_id),
                artifacts: row.artifacts,
                outputs_bytes: row.outputs_bytes,
                created_at: row.created_at,
            })
        })
        .collect()
}

/// Forgets the results of a pipeline or of one of its steps, perhaps only those that are old enough; returns how many.
pub async fn clear_cached_results(
    connection: &mut PgConnection,
    pipeline: &str,
    step: Option<&str>,
    older_than: Option<Duration>,
) -> Result<u64, QueueError> {
    let seconds = older_than.map(|age| age.as_secs_f64());
    Ok(sqlx::query_file!("../../sql/queue/clear_cached_results.sql", pipeline, step, seconds)
        .execute(connection)
        .await?
        .rows_affected())
}

/// Says of a new run which of its steps keep and take results, and by what their tasks' are known.
pub(crate) async fn set_caches(connection: &mut PgConnection, run: &NewRun) -> Result<(), QueueError> {
    let caching =
        || (0..).zip(&run.steps).filter_map(|(index, step): (i16, _)| Some((index, step.cache?, step)));
    let indexes: Vec<i16> = caching().map(|(index, ..)| index).collect();
    if !indexes.is_empty() {
        let ttls: Vec<Option<i64>> = caching()
            .map(|(_, policy, _)| policy.ttl_ms.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX)))
            .collect();
        sqlx::query_file!(
            "../../sql/queue/set_step_caches.sql",
            run.id.raw(),
            &indexes,
            &ttls as &[Option<i64>]
        )
        .execute(&mut *connection)
        .await?;
        for (index, _, step) in caching() {
            set_cache_keys(connection, run.id, index, step.tasks.as_deref().unwrap_or_default()).await?;
        }
    }
    if !run.uses_cache || run.parent.is_some() {
        sqlx::query_file!("../../sql/queue/set_uses_cache.sql", run.id.raw(), run.uses_cache)
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// The same of tasks that the expansion task `expansion` has found.
pub(crate) async fn note_cache_keys(
    connection: &mut PgConnection,
    expansion: TaskId,
    tasks: &[NewTask],
) -> Result<(), QueueError> {
    if tasks.iter().all(|task| task.cache_key.is_none()) {
        return Ok(());
    }
    let step = sqlx::query_file!("../../sql/queue/find_task_step.sql", expansion.raw())
        .fetch_one(&mut *connection)
        .await?;
    set_cache_keys(connection, RunId::from_raw(step.run_id), step.step, tasks).await
}

/// The same of one part of a fan-out, whose first task has the index `first`.
pub(crate) async fn note_part_keys(
    connection: &mut PgConnection,
    expansion: TaskId,
    first: u32,
    keys: &[String],
) -> Result<(), QueueError> {
    let step = sqlx::query_file!("../../sql/queue/find_task_step.sql", expansion.raw())
        .fetch_one(&mut *connection)
        .await?;
    let indexes: Vec<i32> = (first..).take(keys.len()).map(|index| index as i32).collect();
    write_cache_keys(connection, RunId::from_raw(step.run_id), step.step, &indexes, keys).await
}

/// Notes by what the results of these tasks are known, where the step says so.
async fn set_cache_keys(
    connection: &mut PgConnection,
    run: RunId,
    step: i16,
    tasks: &[NewTask],
) -> Result<(), QueueError> {
    let keyed = || tasks.iter().filter_map(|task| Some((task.index as i32, task.cache_key.as_deref()?)));
    let indexes: Vec<i32> = keyed().map(|(index, _)| index).collect();
    if indexes.is_empty() {
        return Ok(());
    }
    let keys: Vec<String> = keyed().map(|(_, key)| key.to_owned()).collect();
    write_cache_keys(connection, run, step, &indexes, &keys).await
}

async fn write_cache_keys(
    connection: &mut PgConnection,
    run: RunId,
    step: i16,
    indexes: &[i32],
    keys: &[String],
) -> Result<(), QueueError> {
    sqlx::query_file!("../../sql/queue/set_cache_keys.sql", run.raw(), step, indexes, keys)
        .execute(connection)
        .await?;
    Ok(())
}

fn stored_digest(bytes: &[u8]) -> Result<Digest, QueueError> {
    let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| QueueError::Unreadable {
        what: "cached_result.key",
        value: format!("{} bytes", bytes.len()),
    })?;
    Ok(Digest::from_bytes(bytes))
}

impl fmt::Display for CacheDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from_run, self.from_task) {
            (Some(run), Some(task)) => write!(f, "from run {run}, task {task}"),
            _ => f.write_str(&self.reason),
        }
    }
}
