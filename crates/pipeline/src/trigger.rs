//! The top-level key `triggers`: what else starts runs by itself.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tale_primitives::Name;

use crate::{
    PipelineError, StepOutputs,
    program::{Site, Template},
    reader::{Reader, find},
    schedule::Declared,
    session::{Locals, Session},
    yaml::{Entry, Node, Yaml, to_json_map},
};

const TRIGGER_KEYS: [&str; 3] = ["run", "object", "params"];
const RUN_KEYS: [&str; 2] = ["pipeline", "state"];
const OBJECT_KEYS: [&str; 2] = ["prefix", "every"];

/// What `event` has where a run has ended.
const RUN_EVENT: &[&str] = &["run", "pipeline", "state", "date", "outputs"];
/// What `event` has where an object has arrived.
const OBJECT_EVENT: &[&str] = &["path", "size", "version"];

/// How often a prefix is looked at unless something else is said.
const EVERY_MS_DEFAULT: u64 = 30_000;

/// No pipeline has more.
const TRIGGERS_MAX: usize = 100;

/// One thing that starts runs of a pipeline by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriggerSpec {
    /// What has to happen.
    pub on: TriggerEvent,
    /// The params of the run; texts may hold expressions over `event`. The pipeline's defaults fill the rest.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
}

/// What starts a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerEvent {
    /// A run of another pipeline has ended.
    Run {
        /// The other pipeline.
        pipeline: Name,
        /// How it must have ended.
        state: EndState,
    },
    /// An object has arrived in the object store, or has changed.
    Object {
        /// What its path begins with; whole folders alone.
        prefix: String,
        /// How often that is looked for.
        every_ms: u64,
    },
}

/// How a run must have ended to start another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndState {
    /// Every step ended well.
    #[default]
    Succeeded,
    /// Some step failed.
    Failed,
    /// However it ended.
    Any,
}

impl EndState {
    /// Whether a run that ended in this state counts.
    pub fn admits(self, state: &str) -> bool {
        match self {
            Self::Succeeded => state == "succeeded",
            Self::Failed => state == "failed",
            Self::Any => true,
        }
    }
}

impl TriggerSpec {
    /// The params of the run that this event starts, with every expression evaluated.
    ///
    /// # Errors
    /// [`PipelineError::Expression`] where the event does not have what an expression reads.
    pub fn params_for(&self, event: &Value) -> Result<Map<String, Value>, PipelineError> {
        event_params("@triggers", &self.params, event)
    }
}

/// Params over an event, evaluated; errors name the place.
pub(crate) fn event_params(
    place: &str,
    params: &Map<String, Value>,
    event: &Value,
) -> Result<Map<String, Value>, PipelineError> {
    let template = Template::compile_map(Site::without_secrets(place), "params".to_owned(), params)?;
    let nothing = Value::Null;
    let outputs = StepOutputs::new();
    let session = Session::new(&nothing, &nothing, &outputs);
    let locals = Locals { event: Some(event), ..Locals::default() };
    match template.evaluate(place, &session, locals)? {
        Value::Object(params) => Ok(params),
        _ => Ok(Map::new()),
    }
}

/// A trigger as far as it could be read.
pub(crate) struct DraftTrigger<'n> {
    pub place: &'n Node,
    pub params: &'n [Entry],
    /// What `event` has.
    pub event: &'static [&'static str],
    /// The pipeline whose runs it waits for.
    pub pipeline: Option<&'n Node>,
    pub spec: Option<TriggerSpec>,
}

impl Reader<'_, '_> {
    pub(crate) fn triggers<'n>(
        &mut self,
        triggers: &'n Entry,
        declared: Declared<'_>,
    ) -> Vec<DraftTrigger<'n>> {
        let help = "write a list: triggers: [{ run: { pipeline: other } }, { object: { prefix: inbox/ } }]";
        let Yaml::List(items) = &triggers.value.value else {
            self.wrong_type(&triggers.value, "triggers", "a list", help);
            return Vec::new();
        };
        if items.len() > TRIGGERS_MAX {
            let message = format!("there are {} triggers, more than {TRIGGERS_MAX}", items.len());
            let help = "one prefix can stand for many objects".to_owned();
            self.problems.add("too-many-triggers", triggers.key_span.clone(), message, help);
        }
        let read: Vec<_> = items.iter().filter_map(|item| self.trigger(item, triggers, declared)).collect();
        for (index, trigger) in read.iter().enumerate() {
            let on = trigger.spec.as_ref().map(|spec| &spec.on);
            let same = |other: &DraftTrigger<'_>| match (on, other.spec.as_ref().map(|spec| &spec.on)) {
                (
                    Some(TriggerEvent::Object { prefix: one, .. }),
                    Some(TriggerEvent::Object { prefix: other, .. }),
                ) => one == other,
                (one, other) => one.is_some() && one == other,
            };
            if read.iter().take(index).any(same) {
                let span = trigger.place.span.clone();
                let help = "take one of them out: each event starts one run".to_owned();
                self.problems.add("duplicate-trigger", span, "there is such a trigger already", help);
            }
        }
        read
    }

    fn trigger<'n>(
        &mut self,
        item: &'n Node,
        owner: &Entry,
        declared: Declared<'_>,
    ) -> Option<DraftTrigger<'n>> {
        let entries = self.map(item, "a trigger")?;
        self.known_keys(entries, &TRIGGER_KEYS, "a trigger");
        let mut pipeline = None;
        let (event, on) = match (find(entries, "run"), find(entries, "object")) {
            (Some(node), None) => {
                let run = self.map(node, "run")?;
                pipeline = find(run, "pipeline");
                (RUN_EVENT, self.run_event(node, run))
            }
            (None, Some(node)) => (OBJECT_EVENT, self.object_event(node)),
            _ => {
                let message = "a trigger waits for one thing: `run` or `object`";
                let help = "write { run: { pipeline: other } } or { object: { prefix: inbox/ } }".to_owned();
                self.problems.add("bad-trigger", item.span.clone(), message, help);
                return None;
            }
        };
        let given = find(entries, "params").map(|node| self.map(node, "params"));
        let params = given.flatten().unwrap_or_default();
        if !matches!(given, Some(None)) {
            self.starting_params(params, owner, declared, true);
        }
        let spec = on.map(|on| TriggerSpec { on, params: to_json_map(params) });
        Some(DraftTrigger { place: item, params, event, pipeline, spec })
    }

    fn run_event(&mut self, node: &Node, entries: &[Entry]) -> Option<TriggerEvent> {
        self.known_keys(entries, &RUN_KEYS, "`run`");
        let state = match find(entries, "state") {
            None => EndState::default(),
            Some(node) => match self.text(node, "state")? {
                "succeeded" => EndState::Succeeded,
                "failed" => EndState::Failed,
                "any" => EndState::Any,
                _ => {
                    self.wrong_type(
                        node,
                        "state",
                        "succeeded, failed or any",
                        "write how the run must have ended",
                    );
                    return None;
                }
            },
        };
        let Some(pipeline) = find(entries, "pipeline") else {
            self.missing(node.span.clone(), "pipeline", "`run`", "run: { pipeline: other }");
            return None;
        };
        Some(TriggerEvent::Run { pipeline: self.name(pipeline, "a pipeline's name")?, state })
    }

    fn object_event(&mut self, node: &Node) -> Option<TriggerEvent> {
        let entries = self.map(node, "object")?;
        self.known_keys(entries, &OBJECT_KEYS, "`object`");
        let every = find(entries, "every").map(|node| self.duration(node, "every"));
        let Some(prefix_node) = find(entries, "prefix") else {
            self.missing(node.span.clone(), "prefix", "`object`", "object: { prefix: inbox/ }");
            return None;
        };
        let prefix = self.text(prefix_node, "prefix")?;
        let folders: Vec<&str> =
            prefix.strip_suffix('/').map(|path| path.split('/').collect()).unwrap_or_default();
        let is_plain = |folder: &&str| !folder.is_empty() && !matches!(*folder, "." | "..");
        if folders.is_empty() || !folders.iter().all(is_plain) || prefix.len() > 500 {
            let help = "write folders that end in a slash: inbox/ or inbox/daily/";
            self.wrong_type(prefix_node, "prefix", "a folder of the object store", help);
            return None;
        }
        let every_ms = every.map_or(Some(EVERY_MS_DEFAULT), |every| every)?;
        Some(TriggerEvent::Object { prefix: prefix.to_owned(), every_ms })
    }
}
