//! The arguments of a step against the JSON Schema of its kind.

use std::{
    collections::{BTreeSet, HashMap},
    ops::{Bound, Range},
};

use jsonschema::{Validator, error::ValidationErrorKind};
use serde_json::{Map, Value};

use crate::{
    kinds::KindDescription,
    params::shortened,
    problem::Problems,
    suggest, template,
    yaml::{Entry, Node, Yaml, to_json_map},
};

/// The compiled schemas of the kinds seen so far.
pub(crate) struct Arguments {
    validators: HashMap<String, Option<Validator>>,
}

impl Arguments {
    pub(crate) fn new() -> Self {
        Self { validators: HashMap::new() }
    }

    /// Checks what is literal in `with`: a value with an expression in it is only known in a run.
    pub(crate) fn check(
        &mut self,
        kind: &KindDescription,
        with: &[Entry],
        uses: &Range<usize>,
        problems: &mut Problems<'_>,
    ) {
        let validator = self
            .validators
            .entry(kind.name.clone())
            .or_insert_with(|| jsonschema::validator_for(&kind.arguments).ok());
        let Some(validator) = validator else {
            let message = format!("kind {} publishes arguments that are no JSON Schema", kind.name);
            problems.add(
                "bad-kind",
                uses.clone(),
                message,
                Some("this is a fault of the kind, not of the pipeline".to_owned()),
            );
            return;
        };
        let instance = Value::Object(to_json_map(with));
        let mut holes = BTreeSet::new();
        find_holes(with, &mut Vec::new(), &mut holes);
        for error in validator.iter_errors(&instance) {
            if problems.is_full() {
                return;
            }
            let path: Vec<String> = error
                .instance_path()
                .as_str()
                .split('/')
                .skip(1)
                .map(|part| part.replace("~1", "/").replace("~0", "~"))
                .collect();
            let place = Place { kind, with, uses, path: &path };
            match error.kind() {
                ValidationErrorKind::AdditionalProperties { unexpected }
                | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                    unexpected.iter().for_each(|name| place.unexpected(name, problems));
                }
                ValidationErrorKind::Required { property } => place.required(property, problems),
                _ if touches(&holes, &path) => {}
                _ => place
                    .wrong(&error.masked_with(format!("argument {}", path.join("."))).to_string(), problems),
            }
        }
    }
}

/// The paths of the values that hold expressions.
fn find_holes(entries: &[Entry], path: &mut Vec<String>, holes: &mut BTreeSet<Vec<String>>) {
    for entry in entries {
        path.push(entry.key.clone());
        find_holes_in(&entry.value, path, holes);
        path.pop();
    }
}

fn find_holes_in(node: &Node, path: &mut Vec<String>, holes: &mut BTreeSet<Vec<String>>) {
    match &node.value {
        Yaml::Text(text) if !template::is_plain(text) => drop(holes.insert(path.clone())),
        Yaml::List(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(index.to_string());
                find_holes_in(item, path, holes);
                path.pop();
            }
        }
        Yaml::Map(entries) => find_holes(entries, path, holes),
        _ => {}
    }
}

/// Whether a complaint at `path` may come from a hole: it lies in one, or around one.
fn touches(holes: &BTreeSet<Vec<String>>, path: &[String]) -> bool {
    let lies_in_one =
        (0..=path.len()).any(|length| path.get(..length).is_some_and(|part| holes.contains(part)));
    let next = holes.range::<[String], _>((Bound::Included(path), Bound::Unbounded)).next();
    lies_in_one || next.is_some_and(|hole| hole.starts_with(path))
}

/// Where in a step's arguments the schema complains.
struct Place<'a> {
    kind: &'a KindDescription,
    with: &'a [Entry],
    uses: &'a Range<usize>,
    path: &'a [String],
}

impl Place<'_> {
    fn unexpected(&self, name: &str, problems: &mut Problems<'_>) {
        let (entries, schema) = (self.entries(), self.schema());
        let span = entries
            .iter()
            .find(|entry| entry.key == name)
            .map_or(self.span(), |entry| entry.key_span.clone());
        let known: Vec<&str> = schema
            .and_then(|schema| schema.get("properties")?.as_object())
            .map(|properties| properties.keys().map(String::as_str).collect())
            .unwrap_or_default();
        let message = format!("{} has no argument {:?}", self.owner(), shortened(name));
        problems.add("unknown-argument", span, message, Some(suggest::help(name, &known, "arguments")));
    }

    fn required(&self, property: &Value, problems: &mut Problems<'_>) {
        let name = property.as_str().unwrap_or_default();
        let described = self
            .schema()
            .and_then(|schema| schema.get("properties")?.get(name)?.get("description")?.as_str())
            .map(|description| format!(": {description}"))
            .unwrap_or_default();
        let message = format!("{} must have the argument {name:?}", self.owner());
        let under =
            if self.path.is_empty() { "with".to_owned() } else { format!("with.{}", self.path.join(".")) };
        problems.add(
            "missing-argument",
            self.span(),
            message,
            Some(format!("add `{name}` to `{under}`{described}")),
        );
    }

    fn wrong(&self, message: &str, problems: &mut Problems<'_>) {
        let help = self
            .schema()
            .and_then(expected)
            .unwrap_or_else(|| format!("`tale kinds {}` shows what the kind takes", self.kind.name));
        problems.add("wrong-argument", self.span(), message.trim_end_matches('.'), Some(help));
    }

    fn owner(&self) -> String {
        match self.path {
            [] => format!("kind {}", self.kind.name),
            path => format!("argument {} of kind {}", path.join("."), self.kind.name),
        }
    }

    fn node(&self) -> Option<&Node> {
        let (first, rest) = self.path.split_first()?;
        let mut node = &self.with.iter().find(|entry| &entry.key == first)?.value;
        for part in rest {
            node = match &node.value {
                Yaml::Map(entries) => &entries.iter().find(|entry| &entry.key == part)?.value,
                Yaml::List(items) => items.get(part.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(node)
    }

    fn span(&self) -> Range<usize> {
        self.node().map_or(self.uses.clone(), |node| node.span.clone())
    }

    fn entries(&self) -> &[Entry] {
        match (self.path, self.node()) {
            ([], _) => self.with,
            (_, Some(Node { value: Yaml::Map(entries), .. })) => entries,
            _ => &[],
        }
    }

    /// The part of the schema for the place, as far as plain `properties`, `items` and `$ref` lead there.
    fn schema(&self) -> Option<&Map<String, Value>> {
        let root = &self.kind.arguments;
        let mut schema = dereferenced(root, root)?;
        for part in self.path {
            let next = match schema.get("properties").and_then(|properties| properties.get(part)) {
                Some(next) => next,
                None => schema.get("items").or_else(|| schema.get("additionalProperties"))?,
            };
            schema = dereferenced(root, next)?;
        }
        schema.as_object()
    }
}

fn dereferenced<'v>(root: &'v Value, schema: &'v Value) -> Option<&'v Value> {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => root.pointer(reference.strip_prefix('#')?),
        None => Some(schema),
    }
}

/// What the schema of a value asks for, in words.
fn expected(schema: &Map<String, Value>) -> Option<String> {
    let described = schema.get("description").and_then(Value::as_str);
    let kind = schema.get("type").map(|kind| match kind {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "value".to_owned(),
    });
    match (kind, described) {
        (Some(kind), Some(described)) => Some(format!("it takes type {kind}: {described}")),
        (Some(kind), None) => Some(format!("it takes type {kind}")),
        (None, Some(described)) => Some(described.to_owned()),
        (None, None) => None,
    }
}
