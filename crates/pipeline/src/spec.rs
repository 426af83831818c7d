//! The checked pipeline: what is stored, digested and planned.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tale_primitives::{Digest, Name, SecretName};

use crate::{
    cache::CacheSpec, deadline::DeadlineSpec, error::PipelineError, program::Program,
    resources::ResourceSpec, schedule::ScheduleSpec, trigger::TriggerSpec,
};

/// The pool of a step that names none and whose kind names none.
pub const DEFAULT_POOL: &str = "cpu";

/// The pool written for the kinds that the scheduler runs itself, which hold no worker.
pub const SCHEDULER_POOL: &str = "@scheduler";

/// The kind that starts a child run.
pub const PIPELINE_KIND: &str = "pipeline";

/// Name and kind of the implicit last step, whose one task carries the evaluated top-level `outputs`.
pub const OUTPUTS_STEP: &str = "@outputs";

/// The kind that waits for a person.
pub const APPROVE_KIND: &str = "approve";

/// The most steps in a pipeline, the implicit one not counted.
pub const STEPS_MAX: usize = 10_000;

/// A pipeline as its author wrote it: expressions are still text, every default is filled in.
///
/// `parse` and `check` build one from YAML; [`PipelineSpec::to_json`] and [`PipelineSpec::from_json`]
/// carry it through storage. Nothing in it points back into the source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineSpec {
    /// The unique name.
    pub name: Name,
    /// What the pipeline is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The declared params, in the author's order.
    pub params: Vec<ParamSpec>,
    /// How many runs of the pipeline go on at a time; others wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Whose run it is: runs of different tenants share pools evenly. A text, perhaps with expressions over `params`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// By when a run is to have ended, and what happens where it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<DeadlineSpec>,
    /// When runs start by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleSpec>,
    /// What else starts runs by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<TriggerSpec>,
    /// The steps, in the author's order; a step's place here is its index in plans.
    pub steps: Vec<StepSpec>,
    /// The top-level `outputs`: a map of values and expressions, or nothing where none is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Map<String, Value>>,
}

/// One declared param.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParamSpec {
    /// Its name, as in `params.<name>`.
    pub name: Name,
    /// The type that a value must have.
    #[serde(rename = "type")]
    pub kind: ParamType,
    /// What the param is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The value where a run gives none; without one, the param is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The least value of a number, or the least length of a string or list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<serde_json::Number>,
    /// The greatest value of a number, or the greatest length of a string or list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<serde_json::Number>,
    /// The values that are allowed, where only some are.
    #[serde(default, rename = "enum", skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<Value>>,
}

/// The type of a param.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParamType {
    /// Text.
    String,
    /// A whole number that fits in 64 bits.
    Integer,
    /// Any finite number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list of anything.
    List,
    /// A map from text to anything.
    Object,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepSpec {
    /// Its name, as in `steps.<name>`.
    pub name: Name,
    /// The task kind that it runs.
    pub uses: String,
    /// The arguments of each task; texts in it may hold expressions.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub with: Map<String, Value>,
    /// The list with one task per item: an expression or a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<Value>,
    /// Whether the items run one after another.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sequence: bool,
    /// The steps that it needs beside those that its expressions refer to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Name>,
    /// The condition under which the step runs at all: an expression or a boolean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Value>,
    /// The pool whose workers run its tasks.
    pub pool: String,
    /// How often and when a failed task is tried again.
    pub retry: RetryPolicy,
    /// What differs from `retry` for errors of a class: of all classes that begin so, where the name ends in `*`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub retry_classes: BTreeMap<String, RetryPolicy>,
    /// How long one attempt may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// How long all attempts of a task may take together, with the pauses between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_total_ms: Option<u64>,
    /// How many of a fan-out's tasks may fail, in parts per million of their number.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tolerate_ppm: u32,
    /// Which ends of the steps that it needs open it.
    #[serde(default, skip_serializing_if = "JoinRule::is_usual")]
    pub join: JoinRule,
    /// Whether it runs after all others, however these ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub finally: bool,
    /// How many of its tasks with one key may run or start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitSpec>,
    /// What each of its tasks asks of the worker that runs it.
    #[serde(default, skip_serializing_if = "ResourceSpec::is_empty")]
    pub resources: ResourceSpec,
    /// How its results are kept for later runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheSpec>,
}

/// Which ends of the needed steps open a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinRule {
    /// All have succeeded or were skipped.
    #[default]
    AllSuccess,
    /// All have ended, however.
    AllDone,
    /// One has succeeded or was skipped; barred when all have ended and none has.
    AnySuccess,
}

impl JoinRule {
    /// The words that `join` takes.
    pub const NAMES: [&str; 3] = ["all_success", "all_done", "any_success"];

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "all_success" => Some(Self::AllSuccess),
            "all_done" => Some(Self::AllDone),
            "any_success" => Some(Self::AnySuccess),
            _ => None,
        }
    }

    pub(crate) fn is_usual(&self) -> bool {
        *self == Self::AllSuccess
    }
}

/// A limit on tasks that share a key, over all runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitSpec {
    /// The key: a text, perhaps with expressions over `params`, `run`, `item` and the outputs of other steps.
    pub key: Value,
    /// How many run at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// How many start within a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateSpec>,
}

/// So many within so long: a bucket of `count` tokens, refilled evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateSpec {
    /// How many.
    pub count: u32,
    /// Within how long, in milliseconds.
    pub per_ms: u64,
}

impl StepSpec {
    /// Whether secrets may stand in its `with`: workers resolve them, so that those of the scheduler's own kinds stay
    /// texts.
    pub(crate) fn takes_secrets(&self) -> bool {
        self.uses != PIPELINE_KIND && self.uses != APPROVE_KIND
    }
}

/// How often and when a failed task is tried again.
///
/// The pause before attempt n + 1 is drawn evenly from 0 to min(cap, base · 2ⁿ⁻¹) (full jitter).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryPolicy {
    /// How many attempts a task has in all, at least one.
    pub attempts: u32,
    /// The bound of the first pause.
    pub backoff_base_ms: u64,
    /// The bound of every pause.
    pub backoff_cap_ms: u64,
}

impl RetryPolicy {
    /// A step without `retry`: its first failure is final.
    pub const NONE: Self = Self { attempts: 1, backoff_base_ms: 1_000, backoff_cap_ms: 60_000 };

    /// What `retry: {}` means, and what a `retry` that says less than all falls back on.
    pub const DEFAULT: Self = Self { attempts: 3, ..Self::NONE };
}

impl PipelineSpec {
    /// The canonical JSON: keys sorted at every level, so that a store which reorders keys changes nothing.
    ///
    /// # Errors
    /// Never in practice; a spec holds nothing that JSON cannot.
    pub fn to_json(&self) -> Result<Value, PipelineError> {
        let value =
            serde_json::to_value(self).map_err(|source| PipelineError::Stored { source: source.into() })?;
        Ok(sorted(value))
    }

    /// The spec of a stored canonical JSON.
    ///
    /// # Errors
    /// [`PipelineError::Stored`] where the value is not what [`PipelineSpec::to_json`] made.
    pub fn from_json(value: Value) -> Result<Self, PipelineError> {
        serde_json::from_value(value).map_err(|source| PipelineError::Stored { source: source.into() })
    }

    /// The digest of the canonical JSON: the identity of this version of the pipeline.
    ///
    /// # Errors
    /// As [`PipelineSpec::to_json`].
    pub fn digest(&self) -> Result<Digest, PipelineError> {
        Ok(Digest::of(self.to_json()?.to_string()))
    }

    /// The secrets that the pipeline's tasks need, by name.
    ///
    /// # Errors
    /// An expression that cannot be read, which a checked pipeline does not have.
    pub fn secrets(&self) -> Result<BTreeSet<SecretName>, PipelineError> {
        let mut secrets = BTreeSet::new();
        for step in &self.steps {
            Program::of_step(step)?.add_secrets(&mut secrets);
        }
        Ok(secrets)
    }

    /// The place of the step called `name`, or nothing where there is none.
    pub fn step_index(&self, name: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.name.as_str() == name)
    }
}

/// The value with the keys of every object in it in byte order.
pub(crate) fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(entries.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        scalar => scalar,
    }
}

fn is_zero(ppm: &u32) -> bool {
    *ppm == 0
}
