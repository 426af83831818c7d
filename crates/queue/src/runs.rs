//! Starting runs: one transaction inserts the run, its steps and every task that is known already.

use std::{collections::BTreeMap, fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{PgConnection, types::Json};
use tale_primitives::{AttemptId, RunId, TaskId, UtcDay};

use crate::{
    QueueError, Resources,
    cache::{CachePolicy, set_caches},
    expansions::await_child,
    resources::lane,
};

/// Whether a run goes on, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It waits for its pipeline, which is paused or has as many runs as it may.
    Queued,
    /// Some step has not ended.
    Running,
    /// Every step ended well or was skipped.
    Succeeded,
    /// Some step failed.
    Failed,
    /// It was told to stop.
    Cancelled,
}

impl RunState {
    /// The word for the state, as the database, the command line and JSON write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing of the run is going on any more.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for RunState {
    type Err = QueueError;

    fn from_str(text: &str) -> Result<Self, QueueError> {
        match text {
            "queued" => Ok(Self::Queued),
            "running" => Ok(Self::Running),
            "succeeded" => Ok(Self::Succeeded),
            "failed" => Ok(Self::Failed),
            "cancelled" => Ok(Self::Cancelled),
            _ => Err(QueueError::Unreadable { what: "run.state", value: text.to_owned() }),
        }
    }
}

/// How urgent a run's tasks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(i16)]
pub enum Priority {
    /// Before everything else.
    Urgent = 0,
    /// The usual.
    #[default]
    Normal = 1,
    /// When nothing else is ready.
    Background = 2,
}

impl FromStr for Priority {
    type Err = QueueError;

    fn from_str(text: &str) -> Result<Self, QueueError> {
        match text {
            "urgent" => Ok(Self::Urgent),
            "normal" => Ok(Self::Normal),
            "background" => Ok(Self::Background),
            _ => Err(QueueError::Unreadable { what: "priority", value: text.to_owned() }),
        }
    }
}

impl Priority {
    pub(crate) const fn from_raw(raw: i16) -> Self {
        match raw {
            i16::MIN..=0 => Self::Urgent,
            1 => Self::Normal,
            2.. => Self::Background,
        }
    }
}

/// A run to start.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// The run's id, made by the caller so that expressions can name it.
    pub id: RunId,
    /// The pipeline version to execute.
    pub version_id: i64,
    /// The pipeline's name.
    pub pipeline: String,
    /// The resolved parameters, a JSON object.
    pub params: Value,
    /// A second start with the same key returns the first run.
    pub dedup_key: Option<String>,
    /// The UTC day that the run is about.
    pub logical_date: UtcDay,
    /// The instant at which a schedule has it start.
    pub fire_time: Option<DateTime<Utc>>,
    /// How urgent its tasks are.
    pub priority: Priority,
    /// Who or what starts it, for people.
    pub trigger: String,
    /// Why, in their words.
    pub reason: Option<String>,
    /// Runs of different tenants share pools evenly.
    pub tenant: Option<String>,
    /// The waiting task of another run, for a sub-run.
    pub parent: Option<Parent>,
    /// Whether its tasks may take results that were kept; a sub-run takes none where its parent takes none.
    pub uses_cache: bool,
    /// The steps, by index.
    pub steps: Vec<NewStep>,
}

/// The leased task that will wait for a sub-run.
#[derive(Debug, Clone, Copy)]
pub struct Parent {
    /// The task.
    pub task: TaskId,
    /// The fencing token of the attempt that starts the sub-run.
    pub attempt: AttemptId,
}

/// When a task is tried again.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// Failed attempts after which the task fails for good, at least 1.
    pub attempts_max: u16,
    /// Upper bound of the first delay, in milliseconds; doubled at each attempt.
    pub backoff_base_ms: u64,
    /// Upper bound of every delay, in milliseconds.
    pub backoff_cap_ms: u64,
}

/// How long a task is borne with, beside `retry` and `timeout_ms`.
#[derive(Debug, Clone, Default)]
pub struct Patience {
    /// What differs from the step's `retry` by class of error, counted apart; a name that ends in `*` stands for all
    /// classes that begin so, and of `crashed`, which lost leases are, only the attempts count.
    pub classes: BTreeMap<String, Retry>,
    /// How long all attempts may take together, in milliseconds, with the pauses between them.
    pub timeout_total_ms: Option<u64>,
}

impl Patience {
    /// The classes as `step.retry_classes` holds them; nothing where there are none.
    fn stored(&self) -> Option<Value> {
        let stored = |retry: &Retry| {
            let cap_ms = retry.backoff_cap_ms.max(retry.backoff_base_ms);
            json!({ "attempts": retry.attempts_max.max(1), "base_ms": retry.backoff_base_ms, "cap_ms": cap_ms })
        };
        let classes = self.classes.iter().map(|(class, retry)| (class.clone(), stored(retry)));
        (!self.classes.is_empty()).then(|| Value::Object(classes.collect()))
    }
}

/// Which ends of the needed steps open a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JoinRule {
    /// All have succeeded or were skipped.
    #[default]
    AllSuccess,
    /// All have ended, however.
    AllDone,
    /// One has succeeded; barred when all have ended and none has.
    AnySuccess,
}

impl JoinRule {
    const fn as_str(self) -> &'static str {
        match self {
            Self::AllSuccess => "all_success",
            Self::AllDone => "all_done",
            Self::AnySuccess => "any_success",
        }
    }
}

/// How many tasks with one key may run or start; the key is the task's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limit {
    /// How many at a time.
    pub capacity: Option<u32>,
    /// How many within how long: a bucket of so many tokens, refilled evenly.
    pub rate: Option<Rate>,
}

/// So many within so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// Within how long, in milliseconds.
    pub per_ms: u64,
}

/// A step of a run to start.
#[derive(Debug, Clone)]
pub struct NewStep {
    /// The step's name.
    pub name: String,
    /// The task kind that it uses.
    pub kind: String,
    /// How many steps it needs.
    pub needs: u32,
    /// The indexes of the steps that need it.
    pub dependents: Vec<u16>,
    /// Where its tasks run.
    pub pool: String,
    /// When they are tried again.
    pub retry: Retry,
    /// How long one attempt may take, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// What it allows beside that.
    pub patience: Patience,
    /// The share of its tasks that may fail, in millionths.
    pub tolerate_ppm: u32,
    /// Whether its tasks run one after another.
    pub sequence: bool,
    /// Which ends of the steps that it needs open it.
    pub join: JoinRule,
    /// Whether it runs after all others, a cancelled run's too.
    pub is_finally: bool,
    /// How many of its tasks with one key may run or start.
    pub limit: Limit,
    /// What each of its tasks asks of the worker that runs it.
    pub asks: Resources,
    /// How the results of its tasks are kept and taken, where they are.
    pub cache: Option<CachePolicy>,
    /// Its tasks where they are known already; otherwise the scheduler expands the step when its needs are met.
    pub tasks: Option<Vec<NewTask>>,
}

/// A task of a step whose fan-out is known.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// Its place in the fan-out, from 0.
    pub index: u32,
    /// The evaluated arguments.
    pub arguments: Value,
    /// The evaluated key of the step's limit, where it has one.
    pub limit_key: Option<String>,
    /// What the task's result is known by, where the step says so.
    pub cache_key: Option<String>,
}

/// What starting a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    /// The run: the new one, or the one that has the same deduplication key.
    pub run: RunId,
    /// Whether it is new.
    pub is_new: bool,
}

/// Inserts a run with its steps and opens those that need no other.
///
/// Call it inside a transaction. A sub-run parks its parent task in the same transaction, so that either both happen
/// or neither; `None` says that the parent's lease was lost and nothing was done.
pub async fn start_run(connection: &mut PgConnection, run: &NewRun) -> Result<Option<Started>, QueueError> {
    if let Some(parent) = run.parent
        && !await_child(connection, parent.task, parent.attempt).await?
    {
        return Ok(None);
    }
    let inserted = sqlx::query_file_scalar!(
        "../../sql/queue/insert_run.sql",
        run.id.raw(),
        run.version_id,
        run.pipeline,
        run.params,
        run.dedup_key,
        run.logical_date.date(),
        run.priority as i16,
        run.trigger,
        run.parent.map(|parent| parent.task.raw()),
        run.steps.len() as i32,
        run.tenant,
        run.reason,
        run.fire_time,
    )
    .fetch_optional(&mut *connection)
    .await?;
    if inserted.is_none() {
        let key = run.dedup_key.as_deref().unwrap_or_default();
        let known = sqlx::query_file_scalar!("../../sql/queue/find_run_by_key.sql", run.pipeline, key)
            .fetch_one(connection)
            .await?;
        return Ok(Some(Started { run: RunId::from_raw(known), is_new: false }));
    }
    insert_steps(connection, run).await?;
    insert_tasks(connection, run).await?;
    set_caches(connection, run).await?;
    // a sub-run goes on where its parent does
    let goes_on = run.parent.is_some()
        || sqlx::query_file_scalar!("../../sql/queue/take_place.sql", run.id.raw(), run.pipeline)
            .fetch_one(&mut *connection)
            .await?;
    if goes_on {
        sqlx::query_file!("../../sql/queue/open_run.sql", run.id.raw()).execute(connection).await?;
    }
    Ok(Some(Started { run: run.id, is_new: true }))
}

async fn insert_steps(connection: &mut PgConnection, run: &NewRun) -> Result<(), QueueError> {
    let steps = &run.steps;
    let mut pools: Vec<String> = steps.iter().map(|step| step.pool.clone()).collect();
    sqlx::query_file!("../../sql/queue/ensure_pools.sql", &pools).execute(&mut *connection).await?;
    for (pool, step) in pools.iter_mut().zip(steps) {
        *pool = lane(connection, pool, &step.asks).await?;
    }

    let indexes: Vec<i16> = (0..steps.len()).map(|index| index as i16).collect();
    let names: Vec<String> = steps.iter().map(|step| step.name.clone()).collect();
    let kinds: Vec<String> = steps.iter().map(|step| step.kind.clone()).collect();
    let unmet: Vec<i32> = steps.iter().map(|step| step.needs as i32).collect();
    let dependents: Vec<String> = steps.iter().map(|step| array_literal(&step.dependents)).collect();
    let planned: Vec<bool> = steps.iter().map(|step| step.tasks.is_some()).collect();
    let sequences: Vec<bool> = steps.iter().map(|step| step.sequence).collect();
    let attempts: Vec<i16> = steps.iter().map(|step| step.retry.attempts_max.max(1) as i16).collect();
    let bases: Vec<i64> = steps.iter().map(|step| step.retry.backoff_base_ms as i64).collect();
    let caps: Vec<i64> =
        steps.iter().map(|step| step.retry.backoff_cap_ms.max(step.retry.backoff_base_ms) as i64).collect();
    let timeouts: Vec<Option<i64>> = steps.iter().map(|step| step.timeout_ms.map(|ms| ms as i64)).collect();
    let tolerate: Vec<i32> = steps.iter().map(|step| step.tolerate_ppm as i32).collect();
    let joins: Vec<String> = steps.iter().map(|step| step.join.as_str().to_owned()).collect();
    let finally: Vec<bool> = steps.iter().map(|step| step.is_finally).collect();
    let capacities: Vec<Option<i32>> =
        steps.iter().map(|step| step.limit.capacity.map(|capacity| capacity as i32)).collect();
    let rate_counts: Vec<Option<i32>> =
        steps.iter().map(|step| step.limit.rate.map(|rate| rate.count as i32)).collect();
    let rate_ms: Vec<Option<i64>> =
        steps.iter().map(|step| step.limit.rate.map(|rate| rate.per_ms as i64)).collect();
    let classes: Vec<Option<Value>> = steps.iter().map(|step| step.patience.stored()).collect();
    let totals: Vec<Option<i64>> =
        steps.iter().map(|step| step.patience.timeout_total_ms.map(|ms| ms as i64)).collect();
    let tasks: Vec<i32> = steps.iter().map(|step| step.tasks.as_ref().map_or(0, Vec::len) as i32).collect();
    sqlx::query_file!(
        "../../sql/queue/insert_steps.sql",
        run.id.raw(),
        &indexes,
        &names,
        &kinds,
        &unmet,
        &dependents,
        &planned,
        &sequences,
        &pools,
        &attempts,
        &bases,
        &caps,
        &timeouts as &[Option<i64>],
        &tolerate,
        &tasks,
        &joins,
        &finally,
        &capacities as &[Option<i32>],
        &rate_counts as &[Option<i32>],
        &rate_ms as &[Option<i64>],
        classes.as_slice() as &[Option<Value>],
        &totals as &[Option<i64>],
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_tasks(connection: &mut PgConnection, run: &NewRun) -> Result<(), QueueError> {
    let known = || {
        run.steps
            .iter()
            .enumerate()
            .flat_map(|(step, spec)| spec.tasks.iter().flatten().map(move |task| (step as i16, task)))
    };
    let steps: Vec<i16> = known().map(|(step, _)| step).collect();
    if steps.is_empty() {
        return Ok(());
    }
    let indexes: Vec<i32> = known().map(|(_, task)| task.index as i32).collect();
    let arguments: Vec<Json<&Value>> = known().map(|(_, task)| Json(&task.arguments)).collect();
    let limit_keys: Vec<Option<&str>> = known().map(|(_, task)| task.limit_key.as_deref()).collect();
    sqlx::query_file!(
        "../../sql/queue/insert_tasks.sql",
        run.id.raw(),
        &steps,
        &indexes,
        arguments.as_slice() as &[Json<&Value>],
        limit_keys.as_slice() as &[Option<&str>]
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn array_literal(indexes: &[u16]) -> String {
    let list: Vec<String> = indexes.iter().map(u16::to_string).collect();
    format!("{{{}}}", list.join(","))
}
