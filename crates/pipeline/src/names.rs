//! What expressions and `needs` refer to: every name must exist where it is used, and no circle may close.

use std::{collections::HashMap, ops::Range};

use crate::{
    deadline::DEADLINE_EVENT,
    draft::{Draft, DraftStep, Word},
    expression::{self, Expression, Reference},
    graph, params,
    problem::{Problems, Source},
    secrets,
    spec::PIPELINE_KIND,
    suggest,
    template::{self, Part},
    yaml::{Node, Yaml},
};

/// What `run` has.
pub(crate) const RUN_FIELDS: [&str; 5] = ["id", "date", "fire_time", "pipeline", "parent"];

/// The names of a draft.
pub(crate) struct Names<'d, 'n, 's> {
    draft: &'d Draft<'n>,
    source: &'s Source,
    params: Vec<&'d str>,
    steps: HashMap<&'n str, usize>,
}

/// Where an expression stands, which decides what it may use.
#[derive(Clone, Copy)]
struct Place<'d, 'n> {
    step: Option<&'d DraftStep<'n>>,
    key: &'static str,
    /// What `event` has, in the params of a trigger or a deadline, which have nothing else.
    event: &'static [&'static str],
}

impl Place<'_, '_> {
    /// Whether secrets may stand here; else what to do instead.
    fn secrets(&self) -> Result<(), &'static str> {
        match self.step {
            Some(step) if self.key == "with" => match &step.uses {
                Some(uses) if uses.text == PIPELINE_KIND => {
                    Err("params are stored and shown; name the secret in the child's own steps")
                }
                _ => Ok(()),
            },
            _ => Err("only workers know secrets: name them in the `with` of a task"),
        }
    }
}

/// A step that another one needs, and where that is written.
struct Edge {
    to: usize,
    span: Range<usize>,
}

impl<'d, 'n, 's> Names<'d, 'n, 's> {
    pub(crate) fn of(draft: &'d Draft<'n>, source: &'s Source) -> Self {
        let params = draft.params.iter().map(|param| param.name.as_str()).collect();
        let steps = draft.steps.iter().enumerate().map(|(index, step)| (step.name, index)).collect();
        Self { draft, source, params, steps }
    }

    pub(crate) fn check(&self, problems: &mut Problems<'_>) {
        let mut edges = Vec::with_capacity(self.draft.steps.len());
        for (index, step) in self.draft.steps.iter().enumerate() {
            if problems.is_full() {
                return;
            }
            let mut found = Vec::new();
            for need in &step.needs {
                self.need(need, &mut found, problems);
            }
            let at = |key| Place { step: Some(step), key, event: &[] };
            if let Some(node) = step.when {
                self.whole(node, at("when"), "a boolean", &mut found, problems);
            }
            if let Some(node) = step.for_each {
                self.whole(node, at("for_each"), "a list", &mut found, problems);
            }
            for entry in step.with {
                self.node(&entry.value, at("with"), &mut found, problems);
            }
            if let Some(node) = step.limit_key {
                self.node(node, at("limit"), &mut found, problems);
            }
            if let Some(node) = step.cache_key {
                self.node(node, at("cache"), &mut found, problems);
            }
            self.refuse_itself(index, &found, problems);
            self.refuse_finally(step, &found, problems);
            edges.push(found);
        }
        if let Some(node) = self.draft.tenant {
            self.node(node, Place { step: None, key: "tenant", event: &[] }, &mut Vec::new(), problems);
        }
        for trigger in &self.draft.triggers {
            let place = Place { step: None, key: "triggers", event: trigger.event };
            for entry in trigger.params {
                self.node(&entry.value, place, &mut Vec::new(), problems);
            }
        }
        if let Some(deadline) = &self.draft.deadline {
            let place = Place { step: None, key: "deadline", event: DEADLINE_EVENT };
            for entry in deadline.params {
                self.node(&entry.value, place, &mut Vec::new(), problems);
            }
        }
        for entry in self.draft.outputs.unwrap_or_default() {
            self.node(
                &entry.value,
                Place { step: None, key: "outputs", event: &[] },
                &mut Vec::new(),
                problems,
            );
        }
        self.refuse_circles(&edges, problems);
    }

    fn need(&self, need: &Word<'_>, edges: &mut Vec<Edge>, problems: &mut Problems<'_>) {
        match self.steps.get(need.text) {
            Some(to) => edges.push(Edge { to: *to, span: need.span.clone() }),
            None if problems.is_full() => {}
            None => {
                let message = format!("there is no step {:?}", params::shortened(need.text));
                problems.add("unknown-step", need.span.clone(), message, Some(self.step_help(need.text)));
            }
        }
    }

    /// A value that must be a literal of its type or wholly one expression.
    fn whole(
        &self,
        node: &Node,
        place: Place<'_, '_>,
        expected: &str,
        edges: &mut Vec<Edge>,
        problems: &mut Problems<'_>,
    ) {
        let fits = match (&node.value, place.key) {
            (Yaml::Boolean(_), "when") | (Yaml::List(_), "for_each") => true,
            (Yaml::Text(text), _) => match template::parts(text) {
                Ok(parts) => matches!(parts.as_slice(), [Part::Expression { .. }]),
                Err(_) => true,
            },
            _ => false,
        };
        if !fits {
            let message = format!("`{}` must be {expected} or one expression", place.key);
            let help = match (&node.value, place.key) {
                (Yaml::Text(text), "when") if expression::is_identifier(text) || text.is_empty() => {
                    "write true, false or \"${…}\"".to_owned()
                }
                (Yaml::Text(text), _) if template::is_plain(text) => {
                    format!("put it in braces: \"${{{text}}}\"")
                }
                (Yaml::Text(_), _) => "take away what stands around ${…}".to_owned(),
                (_, "when") => "write true, false or \"${…}\"".to_owned(),
                _ => "write [a, b] or \"${…}\"".to_owned(),
            };
            problems.add("wrong-type", node.span.clone(), message, Some(help));
        }
        self.node(node, place, edges, problems);
    }

    fn node(&self, node: &Node, place: Place<'_, '_>, edges: &mut Vec<Edge>, problems: &mut Problems<'_>) {
        match &node.value {
            Yaml::Text(text) if !template::is_plain(text) => {
                self.text(text, &node.span, place, edges, problems)
            }
            Yaml::List(items) => items.iter().for_each(|item| self.node(item, place, edges, problems)),
            Yaml::Map(entries) => {
                entries.iter().for_each(|entry| self.node(&entry.value, place, edges, problems))
            }
            _ => {}
        }
    }

    fn text(
        &self,
        text: &str,
        span: &Range<usize>,
        place: Place<'_, '_>,
        edges: &mut Vec<Edge>,
        problems: &mut Problems<'_>,
    ) {
        if problems.is_full() {
            return;
        }
        let written = self.source.text.get(span.clone()).unwrap_or_default();
        let openings: Vec<usize> = written.match_indices("${").map(|(opening, _)| opening).collect();
        let locate = |nth: usize, range: Range<usize>, expression: &str| {
            let found = locate(written, openings.get(nth).copied(), range, expression);
            span.start + found.start..span.start + found.end
        };
        // how many `${` the value has before a byte, escaped ones among them; asked for in order
        let (mut counted, mut counted_to) = (0, 0);
        let mut nth = |start: usize| {
            counted += text.get(counted_to..start).unwrap_or_default().matches("${").count();
            counted_to = start;
            counted.saturating_sub(1)
        };
        let parts = match template::parts(text) {
            Ok(parts) => parts,
            Err(unclosed) => {
                let help = "close it with }, or write $${ where a text has to contain ${".to_owned();
                let at = locate(nth(unclosed.at + 2), 0..0, "").start;
                problems.add(
                    "bad-expression",
                    at.saturating_sub(2)..at,
                    "this ${ is never closed",
                    Some(help),
                );
                return;
            }
        };
        for part in parts {
            let Part::Expression { text: expression, range } = part else { continue };
            let place_in_text = nth(range.start);
            let at = |within: Range<usize>| locate(place_in_text, within, expression);
            match Expression::compile(expression) {
                Err(error) => {
                    let help = error
                        .help
                        .unwrap_or("expressions are CEL: params.x, steps.y.outputs.z, a + b, size(list)");
                    problems.add("bad-expression", at(error.range), error.message, Some(help.to_owned()));
                }
                Ok(compiled) => {
                    for call in &compiled.calls {
                        if !expression::FUNCTIONS.contains(&call.name.as_str()) {
                            let help = suggest::help(&call.name, &expression::FUNCTIONS, "functions");
                            let message = format!("there is no function {:?}", call.name);
                            problems.add("unknown-function", at(call.range.clone()), message, Some(help));
                        }
                    }
                    if compiled.mentions_secrets() {
                        secrets::check(&compiled, place.secrets(), &at, problems);
                    }
                    for reference in &compiled.references {
                        self.reference(reference, place, &at, edges, problems);
                    }
                }
            }
        }
    }

    fn reference(
        &self,
        reference: &Reference,
        place: Place<'_, '_>,
        at: &dyn Fn(Range<usize>) -> Range<usize>,
        edges: &mut Vec<Edge>,
        problems: &mut Problems<'_>,
    ) {
        let first = reference.path.first();
        let root = at(reference.range.clone());
        if !place.event.is_empty() {
            return event_reference(reference, place.event, at, problems);
        }
        match reference.root.as_str() {
            "params" => {
                if let Some(param) = first.filter(|param| !self.params.contains(&param.name.as_str())) {
                    let help = suggest::help(&param.name, &self.params, "params");
                    let message = format!("there is no param {:?}", param.name);
                    problems.add("unknown-param", at(param.range.clone()), message, Some(help));
                }
            }
            "run" => {
                if let Some(field) = first.filter(|field| !RUN_FIELDS.contains(&field.name.as_str())) {
                    let help = suggest::help(&field.name, &RUN_FIELDS, "names in `run`");
                    let message = format!("`run` has no {:?}", field.name);
                    problems.add("unknown-name", at(field.range.clone()), message, Some(help));
                }
            }
            "steps" if place.key == "tenant" => {
                let help = "whose run it is must be known when it starts: use params".to_owned();
                problems.add("out-of-place", root, "there are no `steps` yet here", Some(help));
            }
            "steps" => self.step_reference(reference, at, edges, problems),
            // checked with the whole expression
            secrets::SECRETS => {}
            name @ ("item" | "index" | "previous") => {
                if let Some(help) = out_of_place(name, place) {
                    problems.add("out-of-place", root, format!("there is no `{name}` here"), Some(help));
                }
            }
            other => {
                let mut known = vec!["params", "steps", "run"];
                known.extend(
                    ["item", "index", "previous"]
                        .into_iter()
                        .filter(|name| out_of_place(name, place).is_none()),
                );
                known.extend(Some(secrets::SECRETS).filter(|_| place.secrets().is_ok()));
                let help = if self.params.contains(&other) {
                    format!("write params.{other}")
                } else if self.steps.contains_key(other) {
                    format!("write steps.{other}.outputs")
                } else {
                    suggest::help(other, &known, "names")
                };
                problems.add("unknown-name", root, format!("there is no {other:?} here"), Some(help));
            }
        }
    }

    fn step_reference(
        &self,
        reference: &Reference,
        at: &dyn Fn(Range<usize>) -> Range<usize>,
        edges: &mut Vec<Edge>,
        problems: &mut Problems<'_>,
    ) {
        let Some(step) = reference.path.first() else {
            let help = "name one: steps.first.outputs".to_owned();
            let message = "`steps` must be followed by the name of a step";
            problems.add("bad-expression", at(reference.range.clone()), message, Some(help));
            return;
        };
        let span = at(step.range.clone());
        let Some(to) = self.steps.get(step.name.as_str()) else {
            let message = format!("there is no step {:?}", step.name);
            let dashed = self.draft.steps.iter().find(|known| {
                known.name.strip_prefix(step.name.as_str()).is_some_and(|rest| rest.starts_with('-'))
            });
            let help = match dashed {
                Some(dashed) => format!("a name with a dash goes in brackets: steps[\"{}\"]", dashed.name),
                None => self.step_help(&step.name),
            };
            problems.add("unknown-step", span, message, Some(help));
            return;
        };
        edges.push(Edge { to: *to, span: span.clone() });
        match reference.path.get(1) {
            Some(field) if field.name == "outputs" => {}
            Some(field) => {
                let message = format!("a step has `outputs` alone, no {:?}", field.name);
                let help = format!("write steps.{}.outputs.{}", step.name, field.name);
                problems.add("unknown-name", at(field.range.clone()), message, Some(help));
            }
            None => {
                let help = format!("write steps.{}.outputs", step.name);
                problems.add("bad-expression", span, "a step is no value; its outputs are", Some(help));
            }
        }
    }

    fn step_help(&self, wrong: &str) -> String {
        let names: Vec<_> = self.draft.steps.iter().map(|step| step.name).collect();
        suggest::help(wrong, &names, "steps")
    }

    fn refuse_itself(&self, index: usize, edges: &[Edge], problems: &mut Problems<'_>) {
        for edge in edges.iter().filter(|edge| edge.to == index) {
            let name = self.draft.steps[index].name;
            let help = "take it out; in a sequence, `previous` has the outputs of the item before";
            problems.add(
                "circle",
                edge.span.clone(),
                format!("step {name} needs itself"),
                Some(help.to_owned()),
            );
        }
    }

    /// What runs after everything else cannot be needed by what it waits for.
    fn refuse_finally(&self, step: &DraftStep<'_>, edges: &[Edge], problems: &mut Problems<'_>) {
        let is_finally = |step: &DraftStep<'_>| step.spec.as_ref().is_some_and(|spec| spec.finally);
        if is_finally(step) {
            return;
        }
        for edge in edges {
            let needed = &self.draft.steps[edge.to];
            if is_finally(needed) {
                let message = format!("step {} runs after all others, so nothing can need it", needed.name);
                let help = "give this step `finally: true` too, or take the need out".to_owned();
                problems.add("circle", edge.span.clone(), message, Some(help));
            }
        }
    }

    fn refuse_circles(&self, edges: &[Vec<Edge>], problems: &mut Problems<'_>) {
        let others = |(from, edges): (usize, &Vec<Edge>)| -> Vec<usize> {
            edges.iter().map(|edge| edge.to).filter(|to| *to != from).collect()
        };
        let needs: Vec<Vec<usize>> = edges.iter().enumerate().map(others).collect();
        for circle in graph::circles(&needs) {
            let (Some(first), Some(second)) = (circle.first(), circle.get(1)) else { continue };
            let Some(edge) = edges[*first].iter().find(|edge| edge.to == *second) else { continue };
            let names = circle.iter().chain([first]).map(|index| self.draft.steps[*index].name);
            let names: Vec<_> = names.collect();
            let message = format!("steps need one another in a circle: {}", names.join(" → "));
            let help = "an arrow reads \"needs\"; take one of them out".to_owned();
            problems.add("circle", edge.span.clone(), message, Some(help));
        }
    }
}

/// A name in the params of a trigger: there is `event` alone.
fn event_reference(
    reference: &Reference,
    fields: &[&str],
    at: &dyn Fn(Range<usize>) -> Range<usize>,
    problems: &mut Problems<'_>,
) {
    if reference.root != "event" {
        let help =
            format!("the params of what an event starts read `event`, which has {}", fields.join(", "));
        let message = format!("there is no {:?} here", reference.root);
        problems.add("unknown-name", at(reference.range.clone()), message, Some(help));
    } else if let Some(field) = reference.path.first().filter(|field| !fields.contains(&field.name.as_str()))
    {
        let help = suggest::help(&field.name, fields, "names in `event`");
        let message = format!("`event` has no {:?}", field.name);
        problems.add("unknown-name", at(field.range.clone()), message, Some(help));
    }
}

/// What to say of `item`, `index` or `previous` where it has no meaning; nothing where it has.
fn out_of_place(name: &str, place: Place<'_, '_>) -> Option<String> {
    let step = place.step;
    let fans_out = step.is_some_and(|step| step.for_each.is_some());
    let in_sequence = step.and_then(|step| step.spec.as_ref()).is_some_and(|spec| spec.sequence);
    match (name, place.key) {
        ("item" | "index", "with" | "limit" | "cache") if fans_out => None,
        ("item" | "index", "with" | "limit" | "cache") => Some("add `for_each` to the step".to_owned()),
        ("previous", "with") if in_sequence => None,
        ("previous", "with") => Some("add `for_each` and `sequence: true` to the step".to_owned()),
        _ => Some(format!("only the `with` of a step with `for_each` has `{name}`")),
    }
}

/// How many bytes an escape in a quoted scalar takes at most, such as `\U0001F600`.
const ESCAPE_BYTES_MAX: usize = 10;

/// Where in a scalar as it is written, with its quotes and escapes, a part of one of its expressions stands: `opening`
/// is the place of the expression's `${`, `range` the part within the expression.
fn locate(written: &str, opening: Option<usize>, range: Range<usize>, expression: &str) -> Range<usize> {
    let Some(opening) = opening else { return 0..written.len() };
    let begins = opening + 2;
    let rest = written.get(begins..).unwrap_or_default();
    if rest.starts_with(expression) {
        return begins + range.start..begins + range.end;
    }
    // Escapes or line breaks moved the characters: the part may still be found by its text, not far from here.
    let far =
        rest.floor_char_boundary((expression.len() + 8).saturating_mul(ESCAPE_BYTES_MAX).min(rest.len()));
    let part = expression.get(range).unwrap_or_default();
    match rest.get(..far).and_then(|near| near.find(part)).filter(|_| !part.is_empty()) {
        Some(found) => begins + found..begins + found + part.len(),
        None => opening..begins,
    }
}
