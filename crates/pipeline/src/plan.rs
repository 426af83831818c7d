//! Planning: from a spec and params to steps, edges and the tasks that are known at once.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use tale_primitives::{RunId, UtcDay};

use crate::{CacheSpec, JoinRule, PipelineError, PipelineSpec, RateSpec, ResourceSpec, RetryPolicy};

/// What `run` is in expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunContext {
    /// `run.id`.
    pub id: RunId,
    /// `run.date`: the day that the run is for, which a back-fill sets to the past.
    pub date: UtcDay,
    /// `run.fire_time`: the instant at which its schedule had it start, or null.
    pub fire_time: Option<DateTime<Utc>>,
    /// `run.parent`: the run that started this one, or null.
    pub parent: Option<RunId>,
}

/// The steps of a run, each with what is known of it at the start.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunPlan {
    /// Whose run it is, where the pipeline says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The steps in the author's order; the implicit `@outputs`, where there is one, is last.
    pub steps: Vec<PlannedStep>,
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedStep {
    /// Its place in [`RunPlan::steps`].
    pub index: u16,
    /// Its name.
    pub name: String,
    /// Its task kind.
    pub kind: String,
    /// The steps that must have finished first, in order, each once.
    pub needs: Vec<u16>,
    /// The steps that need this one: the inverse of `needs`.
    pub dependents: Vec<u16>,
    /// The pool whose workers run its tasks.
    pub pool: String,
    /// How often and when a failed task is tried again.
    pub retry: RetryPolicy,
    /// What differs from that by class of error.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub retry_classes: BTreeMap<String, RetryPolicy>,
    /// How long one attempt may take.
    pub timeout_ms: Option<u64>,
    /// How long all attempts of a task may take together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_total_ms: Option<u64>,
    /// How many of its tasks may fail, in parts per million of their number.
    pub tolerate_ppm: u32,
    /// Whether the step has `for_each`: its outputs are then a list, one per task.
    pub fan_out: bool,
    /// Whether its tasks run one after another.
    pub sequence: bool,
    /// Which ends of the steps that it needs open it.
    #[serde(skip_serializing_if = "JoinRule::is_usual")]
    pub join: JoinRule,
    /// Whether it runs after all others, however these ended.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub finally: bool,
    /// How many of its tasks with one key run at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// How many of its tasks with one key start within a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateSpec>,
    /// What each of its tasks asks of the worker that runs it.
    #[serde(skip_serializing_if = "ResourceSpec::is_empty")]
    pub resources: ResourceSpec,
    /// How its results are kept for later runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheSpec>,
    /// Its tasks, as far as they are known.
    pub tasks: PlannedTasks,
}

/// The tasks of a step at the start of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PlannedTasks {
    /// Every task is known.
    Now(Vec<PlannedTask>),
    /// `when` is already false.
    Skipped,
    /// Known once the steps of [`references`] have finished, by [`expand`] or a [`FanOut`](crate::FanOut); or too many
    /// to be held at once.
    Later,
}

/// One task to enqueue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedTask {
    /// Its place in the step's fan-out.
    pub index: u32,
    /// Its arguments, with every expression evaluated.
    pub arguments: Value,
    /// The key of its limit, where the step has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_key: Option<String>,
    /// What its result is known by, where the step says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_key: Option<String>,
}

/// The outputs of finished steps by name: null for a skipped step, a list for a fan-out.
pub type StepOutputs = std::collections::BTreeMap<String, Value>;

/// Where a sequence stands.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceState {
    /// The item to run now.
    pub next_index: u32,
    /// The outputs of the item before; null before the first.
    pub previous: Value,
}

/// What to enqueue for a step whose needs have finished.
#[derive(Debug, Clone, PartialEq)]
pub enum Expansion {
    /// `when` is false: nothing.
    Skipped,
    /// Every task of the step, possibly none.
    Tasks(Vec<PlannedTask>),
    /// The next task of a sequence.
    Next {
        /// The task.
        task: PlannedTask,
        /// How many the sequence has in all.
        total: u32,
    },
    /// A sequence has run every item (at once, where its list is empty).
    Finished {
        /// How many it had.
        total: u32,
    },
}

/// The plan of a run.
///
/// # Errors
/// [`PipelineError`] where the spec is not sound or an expression over `params` and `run` fails.
pub fn plan(
    spec: &PipelineSpec,
    params: &Map<String, Value>,
    run: &RunContext,
) -> Result<RunPlan, PipelineError> {
    crate::planner::plan(spec, params, run)
}

/// The steps whose outputs the expansion of this step reads, in the order of the spec.
///
/// # Errors
/// [`PipelineError::NoSuchStep`], or an expression that cannot be read.
pub fn references(spec: &PipelineSpec, step_index: u16) -> Result<Vec<String>, PipelineError> {
    crate::planner::references(spec, step_index)
}

/// What to enqueue for the step at `step_index`, whose needs have finished.
///
/// # Errors
/// [`PipelineError`] where outputs are missing or an expression fails.
pub fn expand(
    spec: &PipelineSpec,
    step_index: u16,
    params: &Map<String, Value>,
    run: &RunContext,
    outputs: &StepOutputs,
    sequence: Option<&SequenceState>,
) -> Result<Expansion, PipelineError> {
    crate::planner::expand(spec, step_index, params, run, outputs, sequence)
}
