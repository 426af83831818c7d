//! The structure of a pipeline: which keys it has and what sort of value each holds.
//!
//! A draft is the spec as far as it could be read, with the places that later checks point at.

use std::ops::Range;

use serde_json::Number;
use tale_primitives::Name;

use crate::{
    deadline::DraftDeadline,
    params,
    problem::Problems,
    reader::{Reader, find},
    retry::Retries,
    schedule::{Declared, ScheduleSpec},
    secrets,
    spec::{DEFAULT_POOL, JoinRule, ParamSpec, ParamType, STEPS_MAX, StepSpec},
    suggest,
    trigger::DraftTrigger,
    yaml::{Entry, Node, Yaml, to_json_map},
};

const TOP_KEYS: [&str; 10] = [
    "pipeline",
    "description",
    "params",
    "concurrency",
    "tenant",
    "deadline",
    "schedule",
    "triggers",
    "steps",
    "outputs",
];
const PARAM_KEYS: [&str; 6] = ["type", "default", "min", "max", "enum", "description"];
const STEP_KEYS: [&str; 16] = [
    "uses",
    "with",
    "for_each",
    "sequence",
    "needs",
    "join",
    "when",
    "finally",
    "pool",
    "resources",
    "limit",
    "retry",
    "timeout",
    "timeout_total",
    "tolerate",
    "cache",
];

/// A pipeline as far as it could be read.
#[derive(Default)]
pub(crate) struct Draft<'n> {
    pub name: Option<Name>,
    pub description: Option<String>,
    pub params: Vec<ParamSpec>,
    pub concurrency: Option<u32>,
    pub tenant: Option<&'n Node>,
    pub deadline: Option<DraftDeadline<'n>>,
    pub schedule: Option<ScheduleSpec>,
    pub triggers: Vec<DraftTrigger<'n>>,
    pub steps: Vec<DraftStep<'n>>,
    pub outputs: Option<&'n [Entry]>,
}

/// A step as far as it could be read.
pub(crate) struct DraftStep<'n> {
    pub name: &'n str,
    pub uses: Option<Word<'n>>,
    pub with: &'n [Entry],
    /// Whether `with` could be read; if not, nothing is said of missing arguments.
    pub with_is_read: bool,
    pub for_each: Option<&'n Node>,
    pub when: Option<&'n Node>,
    /// The key of its limit.
    pub limit_key: Option<&'n Node>,
    /// The key under which its results are kept.
    pub cache_key: Option<&'n Node>,
    /// Where `resources` is written.
    pub resources: Option<Range<usize>>,
    /// Where `cache` is written.
    pub cache: Option<Range<usize>>,
    pub needs: Vec<Word<'n>>,
    /// Whether `pool` is written.
    pub names_pool: bool,
    /// Nothing where the name cannot be one.
    pub spec: Option<StepSpec>,
}

/// A text and its place.
#[derive(Debug, Clone)]
pub(crate) struct Word<'n> {
    pub text: &'n str,
    pub span: Range<usize>,
}

/// Reads the structure of a document; whatever is wrong with it is added to `problems`.
pub(crate) fn read<'n>(document: &'n Node, problems: &mut Problems<'_>) -> Draft<'n> {
    let mut reader = Reader { problems };
    let mut draft = Draft::default();
    let Some(entries) = reader.map(document, "a pipeline") else { return draft };
    reader.known_keys(entries, &TOP_KEYS, "a pipeline");
    let start = 0..document.span.start.min(1);
    match find(entries, "pipeline") {
        Some(node) => draft.name = reader.name(node, "the pipeline's name"),
        None => reader.missing(
            entries.first().map_or(start.clone(), |first| first.key_span.clone()),
            "pipeline",
            "a pipeline",
            "pipeline: my-pipeline",
        ),
    }
    draft.description =
        find(entries, "description").and_then(|node| reader.text(node, "description")).map(str::to_owned);
    let params = find(entries, "params").map(|node| reader.map(node, "params"));
    if let Some(Some(entries)) = params {
        draft.params = entries.iter().filter_map(|entry| reader.param(entry)).collect();
    }
    draft.concurrency = find(entries, "concurrency").and_then(|node| reader.count(node, "concurrency"));
    draft.tenant = find(entries, "tenant").filter(|node| reader.text(node, "tenant").is_some());
    draft.deadline = find(entries, "deadline").map(|node| reader.deadline(node));
    let written = params.map_or(Some(0), |entries| entries.map(<[Entry]>::len));
    let declared = Declared { params: &draft.params, is_whole: written == Some(draft.params.len()) };
    let schedule = entries.iter().find(|entry| entry.key == "schedule");
    draft.schedule = schedule.and_then(|entry| reader.schedule(entry, declared));
    if let Some(entry) = entries.iter().find(|entry| entry.key == "triggers") {
        draft.triggers = reader.triggers(entry, declared);
    }
    match entries.iter().find(|entry| entry.key == "steps") {
        Some(entry) => draft.steps = reader.steps(entry),
        None => reader.missing(
            entries.first().map_or(start, |first| first.key_span.clone()),
            "steps",
            "a pipeline",
            "steps: { greet: { uses: shell, with: { argv: [echo, hello] } } }",
        ),
    }
    draft.outputs = find(entries, "outputs").and_then(|node| reader.map(node, "outputs"));
    draft
}

impl Reader<'_, '_> {
    fn steps<'n>(&mut self, steps: &'n Entry) -> Vec<DraftStep<'n>> {
        let Some(entries) = self.map(&steps.value, "steps") else { return Vec::new() };
        if entries.is_empty() {
            let help = "add a step: steps: { greet: { uses: shell, with: { argv: [echo, hello] } } }";
            self.problems.add(
                "no-steps",
                steps.key_span.clone(),
                "there are no steps",
                Some(help.to_owned()),
            );
        }
        if let Some(first_too_many) = entries.get(STEPS_MAX) {
            self.problems.add(
                "too-many-steps",
                first_too_many.key_span.clone(),
                format!("there are {} steps, more than {STEPS_MAX}", entries.len()),
                Some("use `for_each`, or move some into a pipeline of their own".to_owned()),
            );
        }
        entries.iter().map(|entry| self.step(entry)).collect()
    }

    fn step<'n>(&mut self, step: &'n Entry) -> DraftStep<'n> {
        let name = self.member_name(step, "step");
        let entries = self.map(&step.value, "a step").unwrap_or_default();
        self.known_keys(entries, &STEP_KEYS, "a step");
        let word = |node: &'n Node, text: &'n str| Word { text, span: node.span.clone() };
        let uses = match find(entries, "uses") {
            Some(node) => self.text(node, "uses").map(|text| word(node, text)),
            None => {
                self.missing(step.key_span.clone(), "uses", "a step", "uses: shell");
                None
            }
        };
        let with = find(entries, "with").map(|node| self.map(node, "with"));
        let with_is_read = !matches!(with, Some(None));
        let with = with.flatten().unwrap_or_default();
        let needs = find(entries, "needs").map(|node| self.needs(node)).unwrap_or_default();
        let for_each = find(entries, "for_each");
        let when = find(entries, "when");
        let sequence = find(entries, "sequence").and_then(|node| self.boolean(node, "sequence"));
        let pool = find(entries, "pool").and_then(|node| self.name(node, "a pool's name"));
        let retry = find(entries, "retry").map_or_else(Retries::none, |node| self.retry(node));
        let timeout_ms = find(entries, "timeout").and_then(|node| self.duration(node, "timeout"));
        let total = find(entries, "timeout_total");
        let timeout_total_ms = total.and_then(|node| self.duration(node, "timeout_total"));
        if let (Some(node), Some(one), Some(all)) = (total, timeout_ms, timeout_total_ms)
            && all < one
        {
            let help = "it is the time of all attempts together: make it the longer one".to_owned();
            let message = "`timeout_total` is shorter than `timeout`";
            self.problems.add("bad-timeout", node.span.clone(), message, help);
        }
        let tolerate_ppm = find(entries, "tolerate").and_then(|node| self.percentage(node));
        let finally =
            find(entries, "finally").and_then(|node| self.boolean(node, "finally")).unwrap_or(false);
        let join = find(entries, "join").map_or(JoinRule::default(), |node| self.join(node));
        if let (true, Some(entry)) = (finally, entries.iter().find(|entry| entry.key == "join")) {
            let help = "a `finally` step runs when all others have ended, however: take `join` out";
            let message = "`join` has no meaning in a `finally` step".to_owned();
            self.problems.add("needless-join", entry.key_span.clone(), message, Some(help.to_owned()));
        }
        let limit_node = find(entries, "limit");
        let limit = limit_node.and_then(|node| self.limit(node));
        let resources = find(entries, "resources").and_then(|node| self.resources(node));
        let cache_node = find(entries, "cache");
        let cache = cache_node.and_then(|node| self.cache(node));
        let key_span =
            |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| entry.key_span.clone());
        let key_of = |node: Option<&'n Node>| match &node?.value {
            Yaml::Map(entries) => find(entries, "key"),
            _ => None,
        };
        for only_with_for_each in ["sequence", "tolerate"] {
            let misplaced = entries.iter().find(|entry| entry.key == only_with_for_each);
            if let (Some(entry), None) = (misplaced, for_each) {
                let message = format!("`{only_with_for_each}` has no meaning without `for_each`");
                let help = "add `for_each` with the list whose items are run, or take this key out";
                self.problems.add("needs-for-each", entry.key_span.clone(), message, Some(help.to_owned()));
            }
        }
        let spec = name.map(|name| StepSpec {
            name,
            uses: uses.as_ref().map(|uses| uses.text.to_owned()).unwrap_or_default(),
            with: to_json_map(with),
            for_each: for_each.map(Node::to_json),
            sequence: sequence.unwrap_or(false),
            needs: needs.iter().filter_map(|need| need.text.parse().ok()).collect(),
            when: when.map(Node::to_json),
            pool: pool.map_or_else(|| DEFAULT_POOL.to_owned(), |pool| pool.to_string()),
            retry: retry.policy,
            retry_classes: retry.classes,
            timeout_ms,
            timeout_total_ms,
            tolerate_ppm: tolerate_ppm.unwrap_or(0),
            join,
            finally,
            limit,
            resources: resources.unwrap_or_default(),
            cache: cache.clone(),
        });
        DraftStep {
            name: &step.key,
            uses,
            with,
            with_is_read,
            for_each,
            when,
            limit_key: key_of(limit_node),
            cache_key: key_of(cache_node),
            resources: key_span("resources"),
            cache: key_span("cache").filter(|_| cache.is_some()),
            needs,
            names_pool: find(entries, "pool").is_some(),
            spec,
        }
    }

    fn needs<'n>(&mut self, node: &'n Node) -> Vec<Word<'n>> {
        let Yaml::List(items) = &node.value else {
            let help = "write a list of steps: needs: [first, second]";
            self.wrong_type(node, "needs", "a list", help);
            return Vec::new();
        };
        let mut needs = Vec::new();
        for item in items {
            if let Some(text) = self.text(item, "a step's name in `needs`") {
                needs.push(Word { text, span: item.span.clone() });
            }
        }
        needs
    }

    fn param(&mut self, param: &Entry) -> Option<ParamSpec> {
        let name = self.member_name(param, "param");
        if param.key.contains('-') {
            let help = format!("expressions would read a minus: call it {}", param.key.replace('-', "_"));
            self.problems.add(
                "bad-name",
                param.key_span.clone(),
                "a param's name cannot contain '-'",
                Some(help),
            );
        }
        let entries = self.map(&param.value, "a param")?;
        self.known_keys(entries, &PARAM_KEYS, "a param");
        let Some(type_node) = find(entries, "type") else {
            self.missing(param.key_span.clone(), "type", "a param", "type: string");
            return None;
        };
        let written = self.text(type_node, "type")?;
        let Some(kind) = ParamType::from_name(written) else {
            let help = suggest::help(written, &ParamType::NAMES, "types");
            self.problems.add(
                "unknown-type",
                type_node.span.clone(),
                format!("there is no type {written:?}"),
                Some(help),
            );
            return None;
        };
        let mut spec = ParamSpec {
            name: name?,
            kind,
            description: find(entries, "description")
                .and_then(|node| self.text(node, "description"))
                .map(str::to_owned),
            default: None,
            min: find(entries, "min").and_then(|node| self.bound(node, "min", kind)),
            max: find(entries, "max").and_then(|node| self.bound(node, "max", kind)),
            one_of: None,
        };
        if let (Some(min), Some(max), Some(node)) = (&spec.min, &spec.max, find(entries, "max"))
            && params::less(max, min)
        {
            let help = Some("no value could be right; swap them".to_owned());
            self.problems.add("bad-param", node.span.clone(), "`max` is less than `min`", help);
        }
        if let Some(node) = find(entries, "enum") {
            match &node.value {
                Yaml::List(items) if !items.is_empty() => {
                    items.iter().for_each(|item| self.conforms(item, &spec));
                    spec.one_of = Some(items.iter().map(Node::to_json).collect());
                }
                _ => self.wrong_type(
                    node,
                    "enum",
                    "a list of values",
                    "write the values allowed: enum: [a, b]",
                ),
            }
        }
        if let Some(node) = find(entries, "default") {
            self.conforms(node, &spec);
            spec.default = Some(node.to_json());
        }
        Some(spec)
    }

    /// A value of the declaration itself must be one that a run could give.
    pub(crate) fn conforms(&mut self, node: &Node, spec: &ParamSpec) {
        secrets::refuse_in_param(node, self.problems);
        if let Err(message) = params::checked(spec, &node.to_json()) {
            let help = Some(format!("the param is declared as {}", spec.kind.article()));
            self.problems.add("bad-param", node.span.clone(), message, help);
        }
    }

    fn bound(&mut self, node: &Node, key: &str, kind: ParamType) -> Option<Number> {
        if matches!(kind, ParamType::Boolean | ParamType::Object) {
            let help =
                Some("numbers have bounds, and texts and lists have bounds on their length".to_owned());
            let message = format!("{} has no `{key}`", kind.article());
            self.problems.add("bad-param", node.span.clone(), message, help);
            return None;
        }
        match &node.value {
            Yaml::Number(number) => Some(number.clone()),
            _ => {
                self.wrong_type(node, key, "a number", "write a number");
                None
            }
        }
    }
}
