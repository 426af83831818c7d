//! Starting runs: parameters are resolved, the run is planned, and the queue takes it in one transaction.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use tale_pipeline::{
    DeadlinePolicy, DeadlineSpec, JoinRule as PlannedJoin, OUTPUTS_STEP, PipelineSpec, PlannedStep,
    PlannedTask, PlannedTasks, RetryPolicy, RunContext, plan, resolve_params,
};
use tale_primitives::{RunId, UtcDay};
use tale_queue::{
    CachePolicy, JoinRule, Limit, NewDeadline, NewRun, NewStep, NewTask, Parent, Patience, PipelineVersion,
    Priority, Rate, Resources, Retry, Started, find_pipeline, set_deadline, start_run,
};
use tale_telemetry::TraceParent;

use crate::{
    SchedulerError,
    traces::{begin_start, keep_place},
};

/// What starts a run.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// The pipeline's name.
    pub pipeline: String,
    /// The given parameters; the pipeline's defaults fill the rest.
    pub params: Map<String, Value>,
    /// A second start with the same key returns the first run.
    pub dedup_key: Option<String>,
    /// The UTC day that the run is about.
    pub logical_date: UtcDay,
    /// The instant at which a schedule has it start.
    pub fire_time: Option<DateTime<Utc>>,
    /// How urgent its tasks are.
    pub priority: Priority,
    /// Who or what starts it, for people.
    pub started_by: String,
    /// Why, in their words.
    pub reason: Option<String>,
    /// Whether its tasks may take results that were kept.
    pub uses_cache: bool,
}

/// Starts a run of the pipeline's current version; call it inside a transaction.
pub async fn start(connection: &mut PgConnection, trigger: Trigger) -> Result<Started, SchedulerError> {
    start_as(connection, RunId::generate(), trigger).await
}

/// Starts a run below a span of whoever asks for it; call it inside a transaction.
pub async fn start_traced(
    connection: &mut PgConnection,
    trigger: Trigger,
    above: Option<TraceParent>,
) -> Result<Started, SchedulerError> {
    start_below(connection, RunId::generate(), trigger, above).await
}

/// Starts a run under an id that the caller has made.
pub(crate) async fn start_as(
    connection: &mut PgConnection,
    id: RunId,
    trigger: Trigger,
) -> Result<Started, SchedulerError> {
    start_below(connection, id, trigger, None).await
}

async fn start_below(
    connection: &mut PgConnection,
    id: RunId,
    trigger: Trigger,
    above: Option<TraceParent>,
) -> Result<Started, SchedulerError> {
    let mut span = begin_start(&trigger.pipeline, id, above);
    let started = async {
        let (run, deadline) = compose(connection, id, trigger, None).await?;
        // without a parent there is no lease to lose
        let started = start_run(connection, &run).await?.unwrap_or(Started { run: id, is_new: false });
        if started.is_new {
            keep_place(connection, id, &span, above).await?;
        }
        limit_time(connection, started, deadline.as_ref()).await?;
        Ok(started)
    };
    started.await.inspect_err(|error: &SchedulerError| span.fail(&error.describe()))
}

/// Starts the sub-run that `parent` waits for; nothing where the parent's lease was lost.
pub(crate) async fn start_child(
    connection: &mut PgConnection,
    trigger: Trigger,
    parent: Parent,
    parent_run: RunId,
    above: Option<TraceParent>,
) -> Result<Option<Started>, SchedulerError> {
    let id = RunId::generate();
    let span = begin_start(&trigger.pipeline, id, above);
    let (run, deadline) = compose(connection, id, trigger, Some((parent, parent_run))).await?;
    let started = start_run(connection, &run).await?;
    if let Some(started) = started {
        if started.is_new {
            keep_place(connection, id, &span, above).await?;
        }
        limit_time(connection, started, deadline.as_ref()).await?;
    }
    Ok(started)
}

/// Gives a run that has just started the deadline of its pipeline.
async fn limit_time(
    connection: &mut PgConnection,
    started: Started,
    deadline: Option<&NewDeadline>,
) -> Result<(), SchedulerError> {
    match deadline {
        Some(deadline) if started.is_new => Ok(set_deadline(connection, started.run, deadline).await?),
        _ => Ok(()),
    }
}

async fn compose(
    connection: &mut PgConnection,
    id: RunId,
    trigger: Trigger,
    parent: Option<(Parent, RunId)>,
) -> Result<(NewRun, Option<NewDeadline>), SchedulerError> {
    let version = find_pipeline(connection, &trigger.pipeline).await?;
    let spec = read_spec(&version)?;
    let params = resolve_params(&spec, &trigger.params)?;
    let context = RunContext {
        id,
        date: trigger.logical_date,
        fire_time: trigger.fire_time,
        parent: parent.map(|(_, run)| run),
    };
    let plan = plan(&spec, &params, &context)?;
    let deadline = spec.deadline.as_ref().map(new_deadline).transpose()?;
    let run = NewRun {
        id,
        version_id: version.id,
        pipeline: version.name,
        params: Value::Object(params),
        dedup_key: trigger.dedup_key,
        logical_date: trigger.logical_date,
        fire_time: trigger.fire_time,
        priority: trigger.priority,
        trigger: trigger.started_by,
        reason: trigger.reason,
        tenant: plan.tenant,
        parent: parent.map(|(parent, _)| parent),
        uses_cache: trigger.uses_cache,
        steps: plan.steps.into_iter().map(new_step).collect(),
    };
    Ok((run, deadline))
}

fn new_deadline(deadline: &DeadlineSpec) -> Result<NewDeadline, SchedulerError> {
    let hook = deadline.hook.as_ref().map(serde_json::to_value).transpose();
    Ok(NewDeadline {
        after_ms: deadline.after_ms,
        cancels: deadline.policy == DeadlinePolicy::Cancel,
        hook: hook.map_err(SchedulerError::Definition)?,
    })
}

pub(crate) fn read_spec(version: &PipelineVersion) -> Result<PipelineSpec, SchedulerError> {
    Ok(PipelineSpec::from_json(version.spec.clone())?)
}

fn new_step(step: PlannedStep) -> NewStep {
    NewStep {
        needs: step.needs.len() as u32,
        dependents: step.dependents,
        retry: new_retry(&step.retry),
        timeout_ms: step.timeout_ms,
        patience: Patience {
            classes: step
                .retry_classes
                .iter()
                .map(|(class, policy)| (class.clone(), new_retry(policy)))
                .collect(),
            timeout_total_ms: step.timeout_total_ms,
        },
        tolerate_ppm: step.tolerate_ppm,
        sequence: step.sequence,
        join: match step.join {
            PlannedJoin::AllSuccess => JoinRule::AllSuccess,
            PlannedJoin::AllDone => JoinRule::AllDone,
            PlannedJoin::AnySuccess => JoinRule::AnySuccess,
        },
        is_finally: step.finally,
        limit: Limit {
            capacity: step.concurrency,
            rate: step.rate.map(|rate| Rate { count: rate.count, per_ms: rate.per_ms }),
        },
        asks: Resources {
            cpu_millis: step.resources.cpu_millis.unwrap_or(0),
            memory_bytes: step.resources.memory_bytes.unwrap_or(0),
            gpus: step.resources.gpus.unwrap_or(0),
            labels: step.resources.labels.unwrap_or_default(),
        },
        cache: step.cache.map(|cache| CachePolicy { ttl_ms: cache.ttl_ms }),
        // a step that is skipped goes through its expansion all the same, so that it ends after what it needs;
        // and so do the run's outputs, even constant ones, because the expansion is what publishes them
        tasks: match step.tasks {
            PlannedTasks::Now(tasks) if step.kind != OUTPUTS_STEP => {
                Some(tasks.into_iter().map(new_task).collect())
            }
            PlannedTasks::Now(_) | PlannedTasks::Skipped | PlannedTasks::Later => None,
        },
        name: step.name,
        kind: step.kind,
        pool: step.pool,
    }
}

fn new_retry(policy: &RetryPolicy) -> Retry {
    Retry {
        attempts_max: u16::try_from(policy.attempts).unwrap_or(u16::MAX),
        backoff_base_ms: policy.backoff_base_ms,
        backoff_cap_ms: policy.backoff_cap_ms,
    }
}

pub(crate) fn new_task(task: PlannedTask) -> NewTask {
    NewTask {
        index: task.index,
        arguments: task.arguments,
        limit_key: task.limit_key,
        cache_key: task.cache_key,
    }
}
