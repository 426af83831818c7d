//! What the language knows of task kinds: names and schemas, never code.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    resources::ResourceSpec,
    spec::{APPROVE_KIND, PIPELINE_KIND, SCHEDULER_POOL},
};

/// One task kind, as its implementation publishes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KindDescription {
    /// The name that `uses:` takes, such as `learning.train`.
    pub name: String,
    /// One line that says what it does.
    pub summary: String,
    /// The JSON Schema of `with`.
    pub arguments: Value,
    /// The JSON Schema of the outputs.
    pub outputs: Value,
    /// The pool of steps that name none.
    pub pool: Option<String>,
    /// What tasks ask of their worker where the step does not say it.
    #[serde(default, skip_serializing_if = "ResourceSpec::is_empty")]
    pub resources: ResourceSpec,
    /// Whether results may be kept and stand in for later tasks.
    #[serde(default)]
    pub cacheable: bool,
}

/// Every task kind that pipelines may use.
#[derive(Debug, Clone)]
pub struct KindCatalog {
    kinds: BTreeMap<String, KindDescription>,
}

impl KindCatalog {
    /// The catalogue of these kinds and of those that the scheduler runs itself; the last of a name wins.
    pub fn new(kinds: impl IntoIterator<Item = KindDescription>) -> Self {
        let kinds = kinds.into_iter().chain([child_pipeline(), approve()]);
        Self { kinds: kinds.map(|kind| (kind.name.clone(), kind)).collect() }
    }

    /// The kind called `name`.
    pub fn find(&self, name: &str) -> Option<&KindDescription> {
        self.kinds.get(name)
    }

    /// Every kind, by name.
    pub fn list(&self) -> impl ExactSizeIterator<Item = &KindDescription> {
        self.kinds.values()
    }
}

/// The kind `pipeline`: a child run, which the scheduler starts and waits for.
fn child_pipeline() -> KindDescription {
    KindDescription {
        name: PIPELINE_KIND.to_owned(),
        summary: "Runs another pipeline and waits for it without holding a worker.".to_owned(),
        arguments: json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["pipeline"],
            "properties": {
                "pipeline": { "type": "string", "description": "The name of the pipeline to run." },
                "params": { "type": "object", "description": "Its params." },
            },
        }),
        outputs: json!({
            "type": ["object", "null"],
            "description": "The top-level `outputs` of the child run.",
        }),
        pool: Some(SCHEDULER_POOL.to_owned()),
        resources: ResourceSpec::default(),
        cacheable: false,
    }
}

/// The kind `approve`: a question to a person, for which the scheduler waits.
fn approve() -> KindDescription {
    KindDescription {
        name: APPROVE_KIND.to_owned(),
        summary: "Asks a person and waits for the answer without holding a worker; `tale approve` gives it."
            .to_owned(),
        arguments: json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "prompt": { "type": "string", "maxLength": 2000, "description": "What is asked." },
                "timeout_seconds": {
                    "type": "number", "exclusiveMinimum": 0, "maximum": 31_622_400,
                    "description": "How long to wait for an answer; for ever unless given.",
                },
                "on_timeout": {
                    "enum": ["approved", "rejected"], "default": "rejected",
                    "description": "What is decided where nobody answers in time.",
                },
            },
        }),
        outputs: json!({
            "type": "object",
            "properties": {
                "approved_by": { "type": "string", "description": "Who approved." },
                "reason": { "type": ["string", "null"], "description": "Why, where they said so." },
            },
        }),
        pool: Some(SCHEDULER_POOL.to_owned()),
        resources: ResourceSpec::default(),
        cacheable: false,
    }
}
