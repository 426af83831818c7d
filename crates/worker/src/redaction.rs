//! Keeping secrets out of everything that an attempt says.

use std::{fmt, panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{Completion, Effect, ErrorClass, TaskError, secrets::SecretValue};

/// What stands in a secret's place.
const STARS: &str = "***";
/// Characters from which a line of a secret with several lines is a secret itself.
const LINE_CHARACTERS_MIN: usize = 6;

/// The secrets of one attempt, as texts to look for.
#[derive(Clone, Default)]
pub(crate) struct Redaction {
    /// Longest first, so that a secret within another one does not uncover the rest of it.
    patterns: Arc<[Zeroizing<String>]>,
}

impl Redaction {
    /// Looks for these secrets: as they are, line by line, and as JSON, URLs and `Debug` write them.
    pub(crate) fn of<'s>(secrets: impl IntoIterator<Item = &'s Option<SecretValue>>) -> Self {
        let mut patterns: Vec<Zeroizing<String>> = Vec::new();
        for secret in secrets.into_iter().flatten() {
            let whole = secret.reveal();
            let lines =
                whole.lines().map(str::trim).filter(|line| line.chars().count() >= LINE_CHARACTERS_MIN);
            for text in lines.chain([whole]) {
                patterns.push(Zeroizing::new(text.to_owned()));
                patterns.push(Zeroizing::new(in_json(text)));
                patterns.push(Zeroizing::new(in_url(text, "%20")));
                patterns.push(Zeroizing::new(in_url(text, "+")));
                let debug = format!("{text:?}");
                patterns.push(Zeroizing::new(debug[1..debug.len() - 1].to_owned()));
            }
        }
        patterns.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        patterns.dedup();
        Self { patterns: patterns.into() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The text with stars in the place of every secret.
    pub(crate) fn text(&self, text: impl Into<String>) -> String {
        let mut text = text.into();
        for pattern in self.patterns.iter() {
            if text.contains(pattern.as_str()) {
                text = text.replace(pattern.as_str(), STARS);
            }
        }
        text
    }

    /// The value with stars in the place of every secret in its texts and keys.
    fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(map) => {
                map.into_iter().map(|(key, value)| (self.text(key), self.value(value))).collect()
            }
            // a secret of digits may have been read as a number
            Value::Number(number) if self.is_secret(&number.to_string()) => Value::String(STARS.to_owned()),
            scalar => scalar,
        }
    }

    fn is_secret(&self, text: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.as_str() == text)
    }

    pub(crate) fn error(&self, error: TaskError) -> TaskError {
        match error {
            TaskError::Retry { message, after } => TaskError::Retry { message: self.text(message), after },
            TaskError::Fail { message } => TaskError::Fail { message: self.text(message) },
            TaskError::Stopped => TaskError::Stopped,
            TaskError::Classed { class, error } => self.error(*error).of_class(class),
        }
    }

    /// Runs an attempt so that nothing that it gives back holds a secret: outputs, names of artifacts, errors, the
    /// message of a panic, and the errors of effects that the acknowledgement applies later.
    pub(crate) async fn watch(
        &self,
        attempt: impl Future<Output = Result<Completion<Value>, TaskError>>,
    ) -> Result<Completion<Value>, TaskError> {
        if self.is_empty() {
            return attempt.await;
        }
        match AssertUnwindSafe(attempt).catch_unwind().await {
            Ok(Ok(completion)) => Ok(self.completion(completion)),
            Ok(Err(error)) => Err(self.error(error)),
            Err(panic) => {
                let message = crate::context::message_of(panic);
                Err(TaskError::Retry { message: self.text(message), after: None }.of_class(ErrorClass::PANIC))
            }
        }
    }

    fn completion(&self, completion: Completion<Value>) -> Completion<Value> {
        let Completion { outputs, mut artifacts, effects } = completion;
        for artifact in &mut artifacts {
            artifact.name = self.text(std::mem::take(&mut artifact.name));
        }
        let effects = effects.into_iter().map(|effect| self.effect(effect)).collect();
        Completion { outputs: self.value(outputs), artifacts, effects }
    }

    fn effect(&self, effect: Effect) -> Effect {
        let redaction = self.clone();
        Box::new(move |connection| {
            let redaction = redaction.clone();
            let applied = effect(connection);
            async move { applied.await.map_err(|error| redaction.error(error)) }.boxed()
        })
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redaction of {} texts", self.patterns.len())
    }
}

fn in_json(text: &str) -> String {
    let quoted = Value::String(text.to_owned()).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// As the query of a URL has it (RFC 3986, 2.3), with this for a space.
fn in_url(text: &str, space: &str) -> String {
    let mut written = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => written.push(byte.into()),
            b' ' => written.push_str(space),
            _ => written.push_str(&format!("%{byte:02X}")),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redaction(secrets: &[&str]) -> Redaction {
        let secrets: Vec<_> = secrets.iter().map(|secret| Some(SecretValue::of(secret))).collect();
        Redaction::of(&secrets)
    }

    #[test]
    fn every_way_to_write_a_secret_is_starred() {
        let redaction = redaction(&["a \"b\"/c\n2nd line"]);
        for written in [
            "a \"b\"/c\n2nd line",
            "a \"b\"/c",
            "2nd line",
            r#"a \"b\"/c\n2nd line"#,
            "a%20%22b%22%2Fc%0A2nd%20line",
            "a+%22b%22%2Fc",
        ] {
            assert_eq!(redaction.text(format!("<{written}>")), "<***>");
        }
    }

    #[test]
    fn a_secret_within_another_does_not_uncover_the_rest() {
        assert_eq!(redaction(&["abcd", "abcdefgh"]).text("abcdefgh abcd"), "*** ***");
    }

    #[test]
    fn outputs_are_starred_in_texts_keys_and_numbers() {
        let redacted =
            redaction(&["s3cret", "12345"]).value(json!({ "s3cret": ["a s3cret"], "n": 12345, "m": 1 }));
        assert_eq!(redacted, json!({ "***": ["a ***"], "n": "***", "m": 1 }));
    }

    #[tokio::test]
    async fn a_panic_does_not_say_a_secret() {
        let attempt = async { panic!("cannot use s3cret") };
        let error = redaction(&["s3cret"]).watch(attempt).await.unwrap_err();
        assert!(error.to_string().ends_with("cannot use ***"), "{error}");
        assert!(matches!(&error, TaskError::Classed { class, .. } if *class == ErrorClass::PANIC));
    }
}
