//! From text to a tree in which every node knows its place.

use std::{collections::HashMap, fmt, ops::Range};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location, MessageFormatter, Options, Spanned, UserMessageFormatter};

use crate::problem::{Problems, Source};

/// The largest source: a pipeline of ten thousand steps takes about two megabytes.
pub const SOURCE_BYTES_MAX: usize = 8 << 20;

/// How deep lists and maps may nest.
const DEPTH_MAX: usize = 32;

/// One value and the bytes that it was written with; through an alias, those of the anchored value.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub value: Yaml,
    pub span: Range<usize>,
}

#[derive(Debug, Clone)]
pub(crate) enum Yaml {
    Null,
    Boolean(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a map and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub key: String,
    pub key_span: Range<usize>,
    pub value: Node,
}

impl Yaml {
    /// The sort of value, with its article, for messages.
    pub(crate) fn article(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

impl Node {
    /// The value as JSON, without its places.
    pub(crate) fn to_json(&self) -> Value {
        match &self.value {
            Yaml::Null => Value::Null,
            Yaml::Boolean(boolean) => Value::Bool(*boolean),
            Yaml::Number(number) => Value::Number(number.clone()),
            Yaml::Text(text) => Value::String(text.clone()),
            Yaml::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Yaml::Map(entries) => Value::Object(to_json_map(entries)),
        }
    }
}

/// The entries as a JSON object.
pub(crate) fn to_json_map(entries: &[Entry]) -> Map<String, Value> {
    entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect()
}

/// The tree of a source, or nothing where it is not YAML at all (which is then a problem).
pub(crate) fn read(source: &Source, problems: &mut Problems<'_>) -> Option<Node> {
    let text = &source.text;
    if text.len() > SOURCE_BYTES_MAX {
        problems.add(
            "too-large",
            0..0,
            format!("the file has {} bytes, more than {SOURCE_BYTES_MAX}", text.len()),
            Some("split it into several pipelines and join them with `uses: pipeline`".to_owned()),
        );
        return None;
    }
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options()) {
        Ok(raw) => {
            let mut converter = Converter { text, problems };
            Some(converter.node(raw))
        }
        Err(error) => {
            let (message, help) = explained(original(&error));
            let span = error.location().map_or(0..0, |location| place(location, text));
            problems.add("not-yaml", span, message, help);
            None
        }
    }
}

/// What the reader of YAML complains about, in the words of the language, and what would be right.
fn explained(error: &serde_saphyr::Error) -> (String, Option<String>) {
    use serde_saphyr::{Error, budget::BudgetBreach};
    let limits = || {
        format!(
            "a file may nest {DEPTH_MAX} levels deep and repeat little through anchors and aliases; write values out"
        )
    };
    match error {
        Error::MultipleDocuments { .. } | Error::Budget { breach: BudgetBreach::Documents { .. }, .. } => (
            "this is a second document".to_owned(),
            Some("a file holds one pipeline: give each its own file".to_owned()),
        ),
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => {
            ("this nests too deep".to_owned(), Some(limits()))
        }
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            ("this is too large once its aliases are written out".to_owned(), Some(limits()))
        }
        Error::UnknownAnchor { .. } => (
            "this alias names no anchor".to_owned(),
            Some("write the anchor before it: &name at the value that *name repeats".to_owned()),
        ),
        other => {
            let message = UserMessageFormatter.format_message(other);
            let help = message.contains("tab").then(|| "indent with spaces".to_owned());
            (format!("this is not valid YAML: {}", message.trim_end_matches('.')), help)
        }
    }
}

fn original(mut error: &serde_saphyr::Error) -> &serde_saphyr::Error {
    while let serde_saphyr::Error::AliasError { error: inner, .. }
    | serde_saphyr::Error::WithSnippet { error: inner, .. } = error
    {
        error = inner;
    }
    error
}

/// The bytes of an error, of which often only the line and column are known; at the very end of the text, where
/// an unclosed bracket is noticed, the last character that can be seen.
fn place(location: Location, text: &str) -> Range<usize> {
    let known = bytes(location, text);
    if !known.is_empty() {
        return known;
    }
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
    let line_start: usize = text.split_inclusive('\n').take(number(location.line())).map(str::len).sum();
    let line = text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
    match line.char_indices().nth(number(location.column())) {
        Some((offset, seen)) => line_start + offset..line_start + offset + seen.len_utf8(),
        None => last_visible(text, line_start + line.len()),
    }
}

/// What bounds the work and the memory that any text can cause.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 2_000_000,
            max_nodes: 1_000_000,
            max_depth: DEPTH_MAX,
            max_documents: 1,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_recorded_anchor_events: 100_000,
            max_recorded_anchor_bytes: 4 << 20,
            max_merge_keys: 1_000,
            max_total_scalar_bytes: 2 * SOURCE_BYTES_MAX,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 8,
            max_alias_expansions_per_anchor: 1_000,
        },
        emit_comments: false,
        // Ours names both places and goes on to the next problem.
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
    }
}

/// A node as serde-saphyr hands it over.
enum Raw {
    Null,
    Boolean(bool),
    Number(Number),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, boolean: bool) -> Result<Raw, E> {
        Ok(Raw::Boolean(boolean))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Raw, E> {
        Ok(Raw::Number(number.into()))
    }

    fn visit_i128<E: serde::de::Error>(self, number: i128) -> Result<Raw, E> {
        Err(E::custom(format!("{number} does not fit in 64 bits; quote it to make it a text")))
    }

    fn visit_u128<E: serde::de::Error>(self, number: u128) -> Result<Raw, E> {
        Err(E::custom(format!("{number} does not fit in 64 bits; quote it to make it a text")))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Raw, E> {
        Number::from_f64(number)
            .map(Raw::Number)
            .ok_or_else(|| E::custom("a number must be finite; quote it to make it a text"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_bytes<E: serde::de::Error>(self, _bytes: &[u8]) -> Result<Raw, E> {
        Err(E::custom("binary values have no place in a pipeline; write a text"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

struct Converter<'a, 's> {
    text: &'a str,
    problems: &'a mut Problems<'s>,
}

impl Converter<'_, '_> {
    fn node(&mut self, raw: Spanned<Raw>) -> Node {
        let span = bytes(raw.defined, self.text);
        let value = match raw.value {
            Raw::Null => Yaml::Null,
            Raw::Boolean(boolean) => Yaml::Boolean(boolean),
            Raw::Number(number) => Yaml::Number(number),
            Raw::Text(text) => Yaml::Text(text),
            Raw::List(items) => Yaml::List(items.into_iter().map(|item| self.node(item)).collect()),
            Raw::Map(entries) => Yaml::Map(self.entries(entries)),
        };
        Node { value, span }
    }

    /// The entries with their keys as text; a key that comes again is a problem and is left out.
    fn entries(&mut self, raw: Vec<(Spanned<Raw>, Spanned<Raw>)>) -> Vec<Entry> {
        let mut places: HashMap<String, Range<usize>> = HashMap::with_capacity(raw.len());
        let mut entries = Vec::with_capacity(raw.len());
        for (key, value) in raw {
            let key_span = bytes(key.defined, self.text);
            let value = self.node(value);
            let key = match key.value {
                Raw::Text(key) => key,
                Raw::Boolean(_) | Raw::Number(_) => {
                    let written = self.text.get(key_span.clone()).unwrap_or_default();
                    let help = Some(format!("quote it: \"{written}\""));
                    self.problems.add("bad-key", key_span, "a key must be a text", help);
                    continue;
                }
                Raw::Null | Raw::List(_) | Raw::Map(_) => {
                    let help = Some("write a plain word before the colon".to_owned());
                    self.problems.add("bad-key", key_span, "a key must be a text", help);
                    continue;
                }
            };
            if let Some(first) = places.get(&key) {
                if self.problems.is_full() {
                    continue;
                }
                let line = self.text.get(..first.start).unwrap_or_default().matches('\n').count() + 1;
                self.problems.add(
                    "duplicate-key",
                    key_span,
                    format!("{key:?} is written twice"),
                    Some(format!("the first is on line {line}; keep one of them")),
                );
                continue;
            }
            places.insert(key.clone(), key_span.clone());
            entries.push(Entry { key, key_span, value });
        }
        entries
    }
}

/// The bytes of a location; of a list or map, whose end is not recorded, the rest of its first line.
fn bytes(location: Location, text: &str) -> Range<usize> {
    let span = location.span();
    let Some(start) = span.byte_offset().and_then(|start| usize::try_from(start).ok()) else {
        return 0..0;
    };
    let start = start.min(text.len());
    let length = span.byte_len().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let end = start.saturating_add(length).min(text.len());
    // A block scalar's token runs into the line breaks after it.
    let written = text.get(start..end).unwrap_or_default();
    start..start + written.trim_end().len()
}

/// The last character before `end` that can be seen.
fn last_visible(text: &str, end: usize) -> Range<usize> {
    let before = text.get(..end).unwrap_or_default().trim_end();
    let start = before.char_indices().next_back().map_or(0, |(place, _)| place);
    start..before.len()
}
