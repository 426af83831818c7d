//! What a result is made from: its key, and in words why an earlier one does not stand in for it. Pure.

use std::{fmt::Write as _, time::Duration};

use serde_json::{Map, Value, json};
use tale_primitives::{Digest, UtcDay};
use tale_queue::NewestResult;

use crate::Caching;

/// How many differences are named.
const NAMED: usize = 5;
/// Longer inputs are not kept, so that what differs cannot be named.
const INPUTS_BYTES_MAX: usize = 64 << 10;

/// What a task of one kind is about to compute from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Content {
    pub kind: &'static str,
    pub version: u32,
    /// `{"with": …}`, with the day where the kind sees it; secrets by their names.
    pub inputs: Value,
}

impl Content {
    pub fn of(kind: &'static str, version: u32, caching: Caching, arguments: &Value, day: UtcDay) -> Self {
        let mut inputs = json!({ "with": arguments });
        if caching == Caching::ByArgumentsAndDay {
            inputs["run.date"] = day.to_string().into();
        }
        Self { kind, version, inputs }
    }

    /// The key of the result: SHA-256 of kind, version and canonical inputs.
    pub fn digest(&self) -> Digest {
        Digest::of(format!("with\n{}\n{}\n{}", self.kind, self.version, canonical(&self.inputs)))
    }

    /// What stands before a key that the step gives, when that is digested in place of the inputs.
    pub fn prefix(&self) -> String {
        format!("key\n{}\n{}\n", self.kind, self.version)
    }

    /// What to keep for saying later what differs.
    pub fn kept_inputs(&self, written_key: Option<&str>) -> Option<Value> {
        match written_key {
            Some(key) => Some(json!({ "key": key })),
            None => Some(self.inputs.clone()).filter(|inputs| inputs.to_string().len() <= INPUTS_BYTES_MAX),
        }
    }

    /// Why there is no result under the key, from the newest result of the step.
    pub fn why_not(&self, written_key: Option<&str>, newest: Option<&NewestResult>) -> String {
        let Some(newest) = newest else { return "there is no earlier result of this step".to_owned() };
        if newest.kind != self.kind {
            return format!(
                "the step uses kind {} now, and used {} for its last result",
                self.kind, newest.kind
            );
        }
        if newest.kind_version != self.version {
            return format!(
                "kind {} is of version {} now, and was of version {} for the last result of this step",
                self.kind, self.version, newest.kind_version
            );
        }
        let before = newest.inputs.as_ref();
        let key_before = before.and_then(|inputs| inputs.get("key")?.as_str());
        match (written_key, key_before) {
            (Some(key), Some(before)) => {
                format!("the key is {key:?}, and that of the last result of this step is {before:?}")
            }
            (Some(_), None) | (None, Some(_)) => {
                "the step's `cache` names a result in another way than for its last one".to_owned()
            }
            (None, None) => {
                let mut paths = Vec::new();
                if let Some(before) = before {
                    differences(before, &self.inputs, &mut String::new(), &mut paths);
                }
                in_words(&paths)
            }
        }
    }
}

fn in_words(paths: &[String]) -> String {
    if paths.is_empty() {
        return "the arguments differ from those of the last result of this step".to_owned();
    }
    let mut named = paths.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if paths.len() > NAMED {
        let _ = write!(named, " and {} more", paths.len() - NAMED);
    }
    format!("differs from the last result of this step in {named}")
}

/// The paths at which two values differ, in the order of the second.
fn differences(before: &Value, now: &Value, path: &mut String, paths: &mut Vec<String>) {
    let whole = path.len();
    let mut enter = |key: &str, before: &Value, now: &Value, path: &mut String| {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
        differences(before, now, path, paths);
        path.truncate(whole);
    };
    match (before, now) {
        (Value::Object(before), Value::Object(now)) => {
            for (key, value) in now {
                enter(key, before.get(key).unwrap_or(&Value::Null), value, path);
            }
            for (key, value) in before.iter().filter(|(key, _)| !now.contains_key(*key)) {
                enter(key, value, &Value::Null, path);
            }
        }
        (Value::Array(before), Value::Array(now)) if before.len() == now.len() => {
            for (index, (before, now)) in before.iter().zip(now).enumerate() {
                enter(&index.to_string(), before, now, path);
            }
        }
        (before, now) if before == now => {}
        _ => paths.push(path.clone()),
    }
}

/// JSON with the keys of every object in byte order, so that their order means nothing.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> =
                map.iter().map(|(key, value)| (key.clone(), canonical(value))).collect();
            entries.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(entries.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        scalar => scalar.clone(),
    }
}

/// A length of time in its largest unit: `3 h`, `90 s`.
pub(crate) fn lasting(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(arguments: Value) -> Content {
        let day = "2026-11-23".parse().unwrap();
        Content::of("shell", 1, Caching::ByArguments, &arguments, day)
    }

    fn last(inputs: Value) -> NewestResult {
        NewestResult { kind: "shell".to_owned(), kind_version: 1, inputs: Some(inputs) }
    }

    #[test]
    fn the_key_depends_on_what_is_said_and_not_on_the_order_of_saying_it() {
        let one: Value = serde_json::from_str(r#"{"a": {"x": 1, "y": [1, 2]}, "b": null}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"b": null, "a": {"y": [1, 2], "x": 1}}"#).unwrap();
        assert_eq!(content(one.clone()).digest(), content(other).digest());
        for differs in [
            r#"{"a": {"x": 1, "y": [2, 1]}, "b": null}"#,
            r#"{"a": {"x": 1, "y": [1, 2]}}"#,
            r#"{"a": {"x": 1.0, "y": [1, 2]}, "b": null}"#,
            r#"{"a": {"x": "1", "y": [1, 2]}, "b": null}"#,
        ] {
            let differs = serde_json::from_str(differs).unwrap();
            assert_ne!(content(one.clone()).digest(), content(differs).digest());
        }
        let same = content(one.clone());
        assert_ne!(same.digest(), Content { version: 2, ..same.clone() }.digest());
        assert_ne!(same.digest(), Content { kind: "http", ..same.clone() }.digest());
    }

    #[test]
    fn the_day_counts_where_the_kind_sees_it() {
        let on =
            |caching, day: &str| Content::of("shell", 1, caching, &json!({}), day.parse().unwrap()).digest();
        let by_day = Caching::ByArgumentsAndDay;
        assert_ne!(on(by_day, "2026-11-23"), on(by_day, "2026-11-24"));
        assert_eq!(on(Caching::ByArguments, "2026-11-23"), on(Caching::ByArguments, "2026-11-24"));
    }

    #[test]
    fn a_refusal_names_the_paths_that_differ() {
        let now = content(json!({ "argv": ["echo", "b"], "env": { "A": "1", "B": "2" }, "cwd": "/tmp" }));
        let before =
            json!({ "with": { "argv": ["echo", "a"], "env": { "A": "1", "C": "3" }, "stdin": "x" } });
        assert_eq!(
            now.why_not(None, Some(&last(before))),
            "differs from the last result of this step in with.argv.1, with.env.B, with.env.C, with.cwd, with.stdin"
        );
        let many = content(json!({ "list": [1, 2, 3, 4, 5, 6, 7] }));
        let before = json!({ "with": { "list": [0, 0, 0, 0, 0, 0, 0] } });
        assert!(many.why_not(None, Some(&last(before))).ends_with("with.list.4 and 2 more"));
        let longer = json!({ "with": { "list": [1] } });
        assert!(many.why_not(None, Some(&last(longer))).ends_with("in with.list"));
    }

    #[test]
    fn a_refusal_says_what_else_has_changed() {
        let now = content(json!({}));
        assert_eq!(now.why_not(None, None), "there is no earlier result of this step");
        let other = NewestResult { kind: "http".to_owned(), ..last(json!({})) };
        assert!(now.why_not(None, Some(&other)).contains("used http"));
        let older = NewestResult { kind_version: 3, ..last(json!({})) };
        assert!(now.why_not(None, Some(&older)).contains("version 1 now, and was of version 3"));
        let keyed = last(json!({ "key": "a" }));
        assert_eq!(
            now.why_not(Some("b"), Some(&keyed)),
            "the key is \"b\", and that of the last result of this step is \"a\""
        );
        assert!(now.why_not(None, Some(&keyed)).contains("in another way"));
        let unkept = NewestResult { inputs: None, ..last(json!({})) };
        assert!(now.why_not(None, Some(&unkept)).starts_with("the arguments differ"));
    }
}
