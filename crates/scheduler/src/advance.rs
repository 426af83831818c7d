//! The scheduler's own tasks: expanding steps, starting sub-runs, returning outputs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde::Deserialize;
use serde_json::{Map, Value};
use sqlx::{Connection, PgConnection};
use tale_pipeline::{
    APPROVE_KIND, Expansion, OUTPUTS_STEP, PipelineSpec, RunContext, SequenceState, StepOutputs, expand,
    references,
};
use tale_queue::{
    ClaimedTask, Decision, Failure, NewTask, Parent, Question, await_approval, expand_step, fail,
    fail_expansion, find_version, publish_outputs, run_context, sequence_state, step_outputs,
};
use tale_telemetry::TraceParent;

use crate::{
    SchedulerError, Trigger,
    fan_out::expand_fan_out,
    traces::begin_task,
    trigger::{new_task, read_spec, start_child},
};

/// How many runs may be nested in each other.
const DEPTH_MAX: u32 = 16;

/// Pipeline versions that were read already; they never change.
#[derive(Debug, Clone, Default)]
pub(crate) struct Specs(Arc<Mutex<HashMap<i64, Arc<PipelineSpec>>>>);

impl Specs {
    pub async fn get(
        &self,
        connection: &mut PgConnection,
        version: i64,
    ) -> Result<Arc<PipelineSpec>, SchedulerError> {
        if let Some(spec) = self.lock().get(&version) {
            return Ok(spec.clone());
        }
        let spec = Arc::new(read_spec(&find_version(connection, version).await?)?);
        let mut specs = self.lock();
        if specs.len() >= 1000 {
            specs.clear();
        }
        specs.insert(version, spec.clone());
        Ok(spec)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i64, Arc<PipelineSpec>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubRun {
    pipeline: String,
    #[serde(default)]
    params: Map<String, Value>,
}

/// How far a task of the scheduler has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Advanced {
    /// It is acknowledged.
    Done,
    /// It is a fan-out that is too large for one transaction: nothing was done.
    TooLarge,
}

/// Does one of the scheduler's own tasks and acknowledges it, in one transaction, which inserts up to `part` tasks.
///
/// What is wrong with the pipeline fails the step; only the queue's own errors come back.
pub(crate) async fn advance(
    connection: &mut PgConnection,
    specs: &Specs,
    part: u32,
    task: &ClaimedTask,
) -> Result<Advanced, SchedulerError> {
    let mut span = begin_task(connection, task).await?;
    let mut transaction = connection.begin().await?;
    let done = match task.kind.as_str() {
        _ if task.index < 0 => expand_one(&mut transaction, specs, part, task).await,
        APPROVE_KIND => ask(&mut transaction, task).await,
        _ => start_sub_run(&mut transaction, task, span.place()).await,
    };
    match done {
        Ok(Advanced::Done) => {
            transaction.commit().await?;
            Ok(Advanced::Done)
        }
        Ok(Advanced::TooLarge) => {
            transaction.rollback().await?;
            Ok(Advanced::TooLarge)
        }
        Err(error) if error.is_transient() => Err(error),
        Err(error) => {
            transaction.rollback().await?;
            span.fail(&error.describe());
            record_failure(connection, task, &error.describe()).await?;
            Ok(Advanced::Done)
        }
    }
}

async fn expand_one(
    connection: &mut PgConnection,
    specs: &Specs,
    part: u32,
    task: &ClaimedTask,
) -> Result<Advanced, SchedulerError> {
    let spec = specs.get(connection, task.version_id).await?;
    let step = spec.steps.get(usize::from(task.step));
    if step.is_some_and(|step| step.for_each.is_some() && !step.sequence) {
        return expand_fan_out(connection, &spec, part, task).await;
    }
    let (params, context) = run_of(connection, task).await?;
    let outputs = outputs_of(connection, &spec, task, &references(&spec, task.step)?).await?;
    let sequence = match step {
        Some(step) if step.sequence => {
            let state = sequence_state(connection, task.run, task.step).await?;
            Some(SequenceState { next_index: state.next_index, previous: state.previous })
        }
        _ => None,
    };
    let expansion = expand(&spec, task.step, &params, &context, &outputs, sequence.as_ref())?;
    if task.step_name == OUTPUTS_STEP {
        let values = match expansion {
            Expansion::Tasks(mut tasks) => tasks.pop().map_or(Value::Null, |task| task.arguments),
            Expansion::Skipped | Expansion::Next { .. } | Expansion::Finished { .. } => Value::Null,
        };
        publish_outputs(connection, task.lease, &values).await?;
        return Ok(Advanced::Done);
    }
    let (total, tasks) = match expansion {
        Expansion::Skipped => {
            expand_step(connection, task.lease, None).await?;
            return Ok(Advanced::Done);
        }
        Expansion::Tasks(tasks) => (tasks.len() as u32, tasks),
        Expansion::Next { task, total } => (total, vec![task]),
        Expansion::Finished { total } => (total, vec![]),
    };
    let tasks: Vec<NewTask> = tasks.into_iter().map(new_task).collect();
    expand_step(connection, task.lease, Some((total, &tasks))).await?;
    Ok(Advanced::Done)
}

/// The params of a task's run, and what `run` is in its expressions.
pub(crate) async fn run_of(
    connection: &mut PgConnection,
    task: &ClaimedTask,
) -> Result<(Map<String, Value>, RunContext), SchedulerError> {
    let run = run_context(connection, task.run).await?;
    let params = match run.params {
        Value::Object(params) => params,
        _ => Map::new(),
    };
    let context =
        RunContext { id: run.id, date: run.logical_date, fire_time: run.fire_time, parent: run.parent_run };
    Ok((params, context))
}

/// The outputs of steps: a list for a fan-out, one value otherwise, null for a skipped step.
pub(crate) async fn outputs_of(
    connection: &mut PgConnection,
    spec: &PipelineSpec,
    task: &ClaimedTask,
    names: &[String],
) -> Result<StepOutputs, SchedulerError> {
    if names.is_empty() {
        return Ok(StepOutputs::new());
    }
    let mut outputs = step_outputs(connection, task.run, names).await?;
    for step in &spec.steps {
        if step.for_each.is_none()
            && let Some(value) = outputs.get_mut(step.name.as_str())
            && let Value::Array(list) = value
        {
            *value = list.pop().unwrap_or(Value::Null);
        }
    }
    Ok(outputs)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Approve {
    #[serde(default)]
    prompt: Option<String>,
    #[serde(default)]
    timeout_seconds: Option<f64>,
    #[serde(default)]
    on_timeout: Option<String>,
}

/// Parks a task until a person answers.
async fn ask(connection: &mut PgConnection, task: &ClaimedTask) -> Result<Advanced, SchedulerError> {
    let Approve { prompt, timeout_seconds, on_timeout } =
        serde_json::from_value(task.arguments.clone()).map_err(SchedulerError::ApproveArguments)?;
    let question = Question {
        prompt,
        timeout_ms: timeout_seconds.map(|seconds| (seconds * 1000.0) as u64),
        on_timeout: on_timeout.map_or(Ok(Decision::Rejected), |written| written.parse())?,
    };
    await_approval(connection, task.lease, &question).await?;
    Ok(Advanced::Done)
}

async fn start_sub_run(
    connection: &mut PgConnection,
    task: &ClaimedTask,
    above: Option<TraceParent>,
) -> Result<Advanced, SchedulerError> {
    let arguments: SubRun =
        serde_json::from_value(task.arguments.clone()).map_err(SchedulerError::SubRunArguments)?;
    let run = run_context(connection, task.run).await?;
    if run.depth >= DEPTH_MAX {
        return Err(SchedulerError::TooDeep { depth: run.depth });
    }
    let trigger = Trigger {
        pipeline: arguments.pipeline,
        params: arguments.params,
        dedup_key: None,
        logical_date: run.logical_date,
        fire_time: run.fire_time,
        priority: run.priority,
        started_by: format!("step {} of run {}", task.step_name, task.run),
        reason: None,
        uses_cache: true,
    };
    let parent = Parent { task: task.lease.task, attempt: task.lease.attempt };
    start_child(connection, trigger, parent, task.run, above).await?;
    Ok(Advanced::Done)
}

/// Fails a task for good, with the reason.
pub(crate) async fn record_failure(
    connection: &mut PgConnection,
    task: &ClaimedTask,
    error: &str,
) -> Result<(), SchedulerError> {
    tracing::warn!(run = %task.run, step = task.step_name, error, "the step cannot go on");
    if task.index < 0 {
        fail_expansion(connection, task.lease, error).await?;
    } else {
        let failure = Failure {
            lease: task.lease,
            error: error.to_owned(),
            is_final: true,
            retry_after: None,
            class: None,
        };
        fail(connection, &[failure]).await?;
    }
    Ok(())
}
