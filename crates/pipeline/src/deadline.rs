//! The top-level key `deadline`: by when a run is to have ended, and what happens where it has not.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tale_primitives::Name;

use crate::{
    PipelineError,
    reader::{Reader, find},
    trigger::event_params,
    yaml::{Entry, Node, Yaml, to_json_map},
};

const DEADLINE_KEYS: [&str; 4] = ["after", "policy", "run", "params"];

/// What `event` has in the params of the run that a missed deadline starts.
pub(crate) const DEADLINE_EVENT: &[&str] = &["run", "pipeline", "state", "date", "due"];

/// By when a run is to have ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadlineSpec {
    /// How long after the time of its fire or, where no schedule started it, after its start.
    pub after_ms: u64,
    /// What happens to a run that goes on past it.
    #[serde(default, skip_serializing_if = "DeadlinePolicy::is_usual")]
    pub policy: DeadlinePolicy,
    /// What is run then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<HookSpec>,
}

/// What happens to a run that goes on past its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadlinePolicy {
    /// An alert is raised, and it goes on.
    #[default]
    Alert,
    /// An alert is raised, and it is cancelled.
    Cancel,
}

impl DeadlinePolicy {
    const NAMES: &str = "alert or cancel";

    fn is_usual(&self) -> bool {
        *self == Self::Alert
    }
}

/// A run that an alert starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookSpec {
    /// The pipeline.
    pub run: Name,
    /// Its params; texts may hold expressions over `event`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
}

impl HookSpec {
    /// The params of the run, with every expression evaluated.
    ///
    /// # Errors
    /// [`PipelineError::Expression`] where the event does not have what an expression reads.
    pub fn params_for(&self, event: &Value) -> Result<Map<String, Value>, PipelineError> {
        event_params("@deadline", &self.params, event)
    }
}

/// A deadline as far as it could be read.
#[derive(Default)]
pub(crate) struct DraftDeadline<'n> {
    pub params: &'n [Entry],
    /// The pipeline that is run.
    pub pipeline: Option<&'n Node>,
    pub spec: Option<DeadlineSpec>,
}

impl Reader<'_, '_> {
    pub(crate) fn deadline<'n>(&mut self, node: &'n Node) -> DraftDeadline<'n> {
        if !matches!(node.value, Yaml::Map(_)) {
            let after_ms = self.duration(node, "deadline");
            let spec = after_ms.map(|after_ms| DeadlineSpec {
                after_ms,
                policy: DeadlinePolicy::default(),
                hook: None,
            });
            return DraftDeadline { spec, ..DraftDeadline::default() };
        }
        let Some(entries) = self.map(node, "deadline") else { return DraftDeadline::default() };
        self.known_keys(entries, &DEADLINE_KEYS, "`deadline`");
        let policy = find(entries, "policy").map_or(Some(DeadlinePolicy::Alert), |node| self.policy(node));
        let pipeline = find(entries, "run");
        let run = pipeline.and_then(|node| self.name(node, "a pipeline's name"));
        let params = find(entries, "params").and_then(|node| self.map(node, "params")).unwrap_or_default();
        if let (None, Some(entry)) = (pipeline, entries.iter().find(|entry| entry.key == "params")) {
            let message = "`params` has no meaning without `run`";
            let help = "name the pipeline that is run where the deadline is missed".to_owned();
            self.problems.add("needs-run", entry.key_span.clone(), message, help);
        }
        let Some(after) = find(entries, "after") else {
            self.missing(node.span.clone(), "after", "a deadline", "after: 50m");
            return DraftDeadline { params, pipeline, spec: None };
        };
        let after_ms = self.duration(after, "after");
        let hook = run.map(|run| HookSpec { run, params: to_json_map(params) });
        let spec = after_ms.zip(policy).map(|(after_ms, policy)| DeadlineSpec { after_ms, policy, hook });
        DraftDeadline { params, pipeline, spec }
    }

    fn policy(&mut self, node: &Node) -> Option<DeadlinePolicy> {
        match self.text(node, "policy")? {
            "alert" => Some(DeadlinePolicy::Alert),
            "cancel" => Some(DeadlinePolicy::Cancel),
            _ => {
                let help = "`alert` lets the run go on, `cancel` stops it";
                self.wrong_type(node, "policy", DeadlinePolicy::NAMES, help);
                None
            }
        }
    }
}
