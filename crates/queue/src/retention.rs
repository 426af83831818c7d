//! Runs that ended long ago: from rows to objects of the store.
//!
//! A run goes with all sub-runs below it. Its rows, as one snapshot sees them, become lines of JSON in an object; then one
//! short transaction locks the runs, sees that nothing has changed since, and has the object count (`archived_run`); then
//! the rows go in small batches. Whoever dies in between, each run is whole in one place: its rows until that transaction,
//! the object after it.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Cursor, Write},
};

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use tale_primitives::{AttemptId, Digest, RunId, TaskId, UtcDay};

use crate::{
    AttemptReport, QueueError, RunReport, RunState, StepReport, TaskReport,
    archive::{Archive, Kept},
};

/// How many runs one object holds at most, sub-runs not counted.
const RUNS_MAX: usize = 200;
/// From how many tasks on an object holds no further run.
const TASKS_GOOD: i64 = 20_000;
/// The pipeline that stands for every one without a policy of its own.
pub const EVERY_PIPELINE: &str = "*";

/// How long runs stay in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RetentionPolicy {
    /// The pipeline, or [`EVERY_PIPELINE`].
    pub pipeline: String,
    /// How long after its end a run stays; `None` is for ever.
    pub keep_seconds: Option<i64>,
    /// How many of the newest ended runs stay whatever their age.
    pub keep_last: i32,
    /// When this was said.
    pub set_at: DateTime<Utc>,
}

/// A run that no policy keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExpiredRun {
    /// The run.
    pub run: RunId,
    /// Its pipeline.
    pub pipeline: String,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
}

/// A run that is an object.
#[derive(Debug, Clone, Serialize)]
pub struct ArchivedRun {
    /// The run.
    pub id: RunId,
    /// Its pipeline.
    pub pipeline: String,
    /// How it ended.
    pub state: RunState,
    /// Who or what started it.
    pub trigger: String,
    /// The UTC day that it was about.
    pub logical_date: UtcDay,
    /// How many steps it had.
    pub steps: i32,
    /// How many of them failed or were barred by a failure.
    pub failed_steps: i32,
    /// When it was started.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// When it became an object.
    pub archived_at: DateTime<Utc>,
    /// The object, which may hold other runs too.
    pub object: Kept,
}

/// The policies, by pipeline.
pub async fn list_retention(connection: &mut PgConnection) -> Result<Vec<RetentionPolicy>, QueueError> {
    Ok(sqlx::query_file_as!(RetentionPolicy, "../../sql/queue/list_retention.sql")
        .fetch_all(connection)
        .await?)
}

/// Says how long the runs of a pipeline, or of [`EVERY_PIPELINE`] without a policy of its own, stay.
pub async fn set_retention(
    connection: &mut PgConnection,
    pipeline: &str,
    keep_seconds: Option<i64>,
    keep_last: u32,
) -> Result<(), QueueError> {
    let keep_last = i32::try_from(keep_last).unwrap_or(i32::MAX);
    sqlx::query_file!("../../sql/queue/set_retention.sql", pipeline, keep_seconds, keep_last)
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes the policy of a pipeline away; says whether there was one.
pub async fn unset_retention(connection: &mut PgConnection, pipeline: &str) -> Result<bool, QueueError> {
    let unset =
        sqlx::query_file!("../../sql/queue/unset_retention.sql", pipeline).execute(connection).await?;
    Ok(unset.rows_affected() > 0)
}

/// Up to `limit` runs that no policy keeps, without those that are `needed`.
///
/// Everything below them has ended, and what they printed is archived already.
pub async fn expired_runs(
    connection: &mut PgConnection,
    needed: &[RunId],
    limit: u32,
) -> Result<Vec<ExpiredRun>, QueueError> {
    let needed: Vec<_> = needed.iter().map(|run| run.raw()).collect();
    let rows = sqlx::query_file!("../../sql/queue/list_expired_runs.sql", i64::from(limit), &needed)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| ExpiredRun {
            run: RunId::from_raw(row.id),
            pipeline: row.pipeline,
            finished_at: row.finished_at,
        })
        .collect())
}

/// Makes one object of as many of these runs as fit, and has it count; says how many of `runs` it has dealt with.
///
/// Where one of them has changed meanwhile, all of them stay as they are.
pub async fn archive_runs(
    connection: &mut PgConnection,
    archive: &dyn Archive,
    runs: &[ExpiredRun],
) -> Result<usize, QueueError> {
    let (mut ids, mut finished, mut tasks, mut taken) = (Vec::new(), Vec::new(), 0, 0);
    for run in runs.iter().take(RUNS_MAX) {
        let tree = sqlx::query_file!("../../sql/queue/list_run_tree.sql", run.run.raw())
            .fetch_all(&mut *connection)
            .await?;
        taken += 1;
        for below in tree {
            ids.push(below.run_id);
            // one that goes on again: the object will not count
            finished.push(below.finished_at.unwrap_or_default());
            tasks += below.tasks;
        }
        if tasks >= TASKS_GOOD {
            break;
        }
    }
    if ids.is_empty() {
        return Ok(taken);
    }
    let refused = |source| QueueError::Keep { what: format!("{} runs", ids.len()), source };
    let mut encoder = zstd::Encoder::new(Vec::new(), 0).map_err(|error| refused(error.into()))?;
    {
        let mut lines =
            sqlx::query_file_scalar!("../../sql/queue/stream_runs.sql", &ids).fetch(&mut *connection);
        while let Some(line) = lines.try_next().await? {
            let written = encoder.write_all(line.as_bytes()).and_then(|()| encoder.write_all(b"\n"));
            written.map_err(|error| refused(error.into()))?;
        }
    }
    let bytes = encoder.finish().map_err(|error| refused(error.into()))?;
    let kept = archive.keep(bytes).await.map_err(refused)?;
    let is_marked = sqlx::query_file_scalar!(
        "../../sql/queue/mark_archived.sql",
        &ids,
        &finished,
        kept.digest.as_bytes().as_slice(),
        kept.size_bytes as i64
    )
    .fetch_one(connection)
    .await?;
    if !is_marked {
        tracing::debug!(runs = ids.len(), "runs changed while they were archived; they stay");
    }
    Ok(taken)
}

/// Drops about `rows` rows of runs that are objects, in one short transaction; 0 says that none is left.
pub async fn drop_archived(connection: &mut PgConnection, rows: u32) -> Result<u32, QueueError> {
    let rows = i32::try_from(rows).unwrap_or(i32::MAX);
    let dropped =
        sqlx::query_file_scalar!("../../sql/queue/drop_archived.sql", rows).fetch_one(connection).await?;
    Ok(dropped.unsigned_abs())
}

/// Takes the lock under which one process at a time archives runs; false where another has it.
///
/// It belongs to the connection's session, which must not go back to a pool before [`unlock_retention`].
pub async fn lock_retention(connection: &mut PgConnection) -> Result<bool, QueueError> {
    Ok(sqlx::query_file_scalar!("../../sql/queue/lock_retention.sql").fetch_one(connection).await?)
}

/// Gives the lock of [`lock_retention`] up.
pub async fn unlock_retention(connection: &mut PgConnection) -> Result<(), QueueError> {
    sqlx::query_file_scalar!("../../sql/queue/unlock_retention.sql").fetch_one(connection).await?;
    Ok(())
}

/// The newest archived runs, of one pipeline and in one state where these are named.
pub async fn list_archived_runs(
    connection: &mut PgConnection,
    filter: &crate::RunFilter,
) -> Result<Vec<ArchivedRun>, QueueError> {
    let rows = sqlx::query_file_as!(
        ArchivedRow,
        "../../sql/queue/list_archived_runs.sql",
        filter.pipeline,
        filter.state.map(RunState::as_str),
        filter.with_sub_runs,
        i64::from(filter.limit)
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(ArchivedRow::read).collect()
}

/// Where a run is that was archived; `None` where it was not.
pub async fn find_archived_run(
    connection: &mut PgConnection,
    run: RunId,
) -> Result<Option<ArchivedRun>, QueueError> {
    let row = sqlx::query_file_as!(ArchivedRow, "../../sql/queue/find_archived_run.sql", run.raw())
        .fetch_optional(connection)
        .await?;
    row.map(ArchivedRow::read).transpose()
}

struct ArchivedRow {
    run_id: sqlx::types::Uuid,
    pipeline: String,
    state: String,
    trigger: String,
    logical_date: chrono::NaiveDate,
    steps: i32,
    failed_steps: i32,
    created_at: DateTime<Utc>,
    finished_at: DateTime<Utc>,
    digest: Vec<u8>,
    size_bytes: i64,
    archived_at: DateTime<Utc>,
}

impl ArchivedRow {
    fn read(self) -> Result<ArchivedRun, QueueError> {
        Ok(ArchivedRun {
            id: RunId::from_raw(self.run_id),
            pipeline: self.pipeline,
            state: self.state.parse()?,
            trigger: self.trigger,
            logical_date: UtcDay::from_date(self.logical_date),
            steps: self.steps,
            failed_steps: self.failed_steps,
            created_at: self.created_at,
            finished_at: self.finished_at,
            archived_at: self.archived_at,
            object: Kept::stored(&self.digest, self.size_bytes)?,
        })
    }
}

/// One line of an object.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Run(Value),
    Step(Value),
    Task(Value),
    Attempt(Value),
    Log(Value),
    // what else there is: approvals, and whatever newer programs add
    #[serde(untagged)]
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct RunLine {
    pipeline: String,
    version: Digest,
    state: String,
    params: Value,
    dedup_key: Option<String>,
    logical_date: UtcDay,
    fire_time: Option<DateTime<Utc>>,
    trigger: String,
    parent_run: Option<RunId>,
    outputs: Option<Value>,
    created_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
}

/// Where the log of an attempt is, as an object of runs has it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ArchivedLog {
    pub run_id: RunId,
    pub task_id: TaskId,
    pub attempt_id: AttemptId,
    pub attempt_number: i16,
    pub step: String,
    pub index: i32,
    pub digest: Digest,
    pub size_bytes: u64,
    pub first_at: DateTime<Utc>,
}

/// Everything about an archived run, as [`crate::run_report`] gives it of others.
pub async fn archived_report(archive: &dyn Archive, archived: &ArchivedRun) -> Result<RunReport, QueueError> {
    let run = archived.id;
    let (mut head, mut steps, mut tasks, mut attempts): (
        Option<RunLine>,
        Vec<StepReport>,
        Vec<TaskReport>,
        Vec<AttemptReport>,
    ) = (None, vec![], vec![], vec![]);
    each_line(archive, archived, |line| {
        match line {
            Line::Run(row) if is_of(&row, "id", run) => head = Some(serde_json::from_value(row)?),
            Line::Step(row) if is_of(&row, "run_id", run) => steps.push(serde_json::from_value(row)?),
            Line::Task(row) if is_of(&row, "run_id", run) => tasks.push(serde_json::from_value(row)?),
            Line::Attempt(row) if is_of(&row, "run_id", run) => attempts.push(serde_json::from_value(row)?),
            _ => {}
        }
        Ok(())
    })
    .await?;
    let head = head.ok_or_else(|| damaged(run, std::io::Error::other("the run is not in its object")))?;
    // the scheduler's own tasks are not listed, as in any report
    tasks.retain(|task| task.index >= 0);
    let mut starts: HashMap<TaskId, Option<DateTime<Utc>>> =
        tasks.iter().map(|task| (task.id, None)).collect();
    attempts.retain(|attempt| match starts.get_mut(&attempt.task) {
        Some(start) => {
            *start = Some(start.map_or(attempt.started_at, |start| start.min(attempt.started_at)));
            true
        }
        None => false,
    });
    for task in &mut tasks {
        task.started_at = starts.get(&task.id).copied().flatten();
    }
    steps.sort_by_key(|step| step.index);
    tasks.sort_by_key(|task| (task.step, task.index));
    attempts.sort_by_key(|attempt| (attempt.started_at, attempt.attempt));
    Ok(RunReport {
        id: run,
        pipeline: head.pipeline,
        version: head.version,
        state: head.state.parse()?,
        params: head.params,
        dedup_key: head.dedup_key,
        logical_date: head.logical_date,
        fire_time: head.fire_time,
        trigger: head.trigger,
        parent_run: head.parent_run,
        outputs: head.outputs,
        created_at: head.created_at,
        finished_at: head.finished_at,
        steps,
        tasks,
        attempts,
    })
}

/// Where the logs are of an archived run and of those below it.
pub(crate) async fn archived_logs(
    archive: &dyn Archive,
    archived: &ArchivedRun,
) -> Result<Vec<ArchivedLog>, QueueError> {
    let mut logs: Vec<ArchivedLog> = Vec::new();
    let mut parents = HashMap::new();
    each_line(archive, archived, |line| {
        match line {
            Line::Run(row) => {
                let id: RunId = serde_json::from_value(row["id"].clone())?;
                let parent: Option<RunId> = serde_json::from_value(row["parent_run"].clone())?;
                parents.insert(id, parent);
            }
            Line::Log(row) => logs.push(serde_json::from_value(row)?),
            _ => {}
        }
        Ok(())
    })
    .await?;
    let is_below = |mut run: RunId| loop {
        if run == archived.id {
            return true;
        }
        match parents.get(&run).copied().flatten() {
            Some(parent) => run = parent,
            None => return false,
        }
    };
    logs.retain(|log| is_below(log.run_id));
    Ok(logs)
}

fn is_of(row: &Value, key: &str, run: RunId) -> bool {
    row[key].as_str().and_then(|text| text.parse().ok()) == Some(run)
}

fn damaged(run: RunId, source: std::io::Error) -> QueueError {
    QueueError::Damaged { what: format!("run {run}"), source }
}

async fn each_line(
    archive: &dyn Archive,
    archived: &ArchivedRun,
    mut each: impl FnMut(Line) -> Result<(), serde_json::Error>,
) -> Result<(), QueueError> {
    let run = archived.id;
    let bytes = archive.fetch(&archived.object).await.map_err(|source| QueueError::Fetch {
        what: format!("run {run}"),
        kept: archived.object.digest,
        source,
    })?;
    let decoder = zstd::Decoder::new(Cursor::new(bytes)).map_err(|error| damaged(run, error))?;
    for line in BufReader::new(decoder).lines() {
        let line = line.map_err(|error| damaged(run, error))?;
        let read = serde_json::from_str(&line).and_then(&mut each);
        read.map_err(|error| damaged(run, error.into()))?;
    }
    Ok(())
}
