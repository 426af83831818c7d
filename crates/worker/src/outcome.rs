//! How an attempt ends.

use std::{borrow::Cow, error::Error, fmt, time::Duration};

use futures::future::BoxFuture;
use sqlx::PgConnection;
use tale_storage::NewArtifact;

/// A change of the database that commits in the transaction of the task's acknowledgement, or not at all.
///
/// It may be applied more than once, when that transaction meets a deadlock or a broken connection, and each time in a
/// transaction of its own; so it must not do anything outside of the connection that it is given.
pub type Effect =
    Box<dyn for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<(), TaskError>> + Send + Sync>;

/// An attempt that ended well.
pub struct Completion<T> {
    /// What the steps after it see.
    pub outputs: T,
    /// Objects that exist from the acknowledgement on.
    pub artifacts: Vec<NewArtifact>,
    /// Changes of the database that commit with the acknowledgement.
    pub effects: Vec<Effect>,
}

impl<T> Completion<T> {
    /// An end without artifacts or effects.
    pub fn of(outputs: T) -> Self {
        Self { outputs, artifacts: vec![], effects: vec![] }
    }

    /// Adds an artifact.
    #[must_use]
    pub fn artifact(mut self, artifact: NewArtifact) -> Self {
        self.artifacts.push(artifact);
        self
    }

    /// Adds a change of the database.
    #[must_use]
    pub fn effect<F>(mut self, effect: F) -> Self
    where
        F: for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<(), TaskError>> + Send + Sync + 'static,
    {
        self.effects.push(Box::new(effect));
        self
    }
}

impl<T: fmt::Debug> fmt::Debug for Completion<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion")
            .field("outputs", &self.outputs)
            .field("artifacts", &self.artifacts)
            .field("effects", &self.effects.len())
            .finish()
    }
}

/// An attempt that ended badly: the variant chooses the task's fate.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// Trying again may help; `after` overrides the step's back-off.
    #[error("{message}")]
    Retry {
        /// What happened, for people.
        message: String,
        /// When to try again, where the task knows.
        after: Option<Duration>,
    },
    /// Trying again is useless: the task fails for good.
    #[error("{message}")]
    Fail {
        /// What happened, for people.
        message: String,
    },
    /// The attempt was stopped from outside; its lease is handed back where it is still held.
    #[error("the attempt was stopped")]
    Stopped,
    /// An error of a class, for which the step may have a policy of its own (`retry: { on: … }`).
    #[error("{error}")]
    Classed {
        /// Its class.
        class: ErrorClass,
        /// The error.
        error: Box<TaskError>,
    },
}

/// The class of an error: a short name, by which a step says how often and when it is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorClass(Cow<'static, str>);

impl ErrorClass {
    /// Something took longer than it may.
    pub const TIMEOUT: Self = Self(Cow::Borrowed("timeout"));
    /// A server could not be reached, or the connection to it broke.
    pub const CONNECTION: Self = Self(Cow::Borrowed("connection"));
    /// A server asked to be asked less often.
    pub const THROTTLED: Self = Self(Cow::Borrowed("throttled"));
    /// The task kind itself is broken.
    pub const PANIC: Self = Self(Cow::Borrowed("panic"));
    /// A program was killed by a signal.
    pub const SIGNAL: Self = Self(Cow::Borrowed("signal"));

    /// A class of a kind's own, such as `exit-75`: up to 63 of `a-z`, `0-9`, `-` and `_`. What is none of these becomes `-`.
    pub fn new(name: &str) -> Self {
        let fitting = |letter: char| match letter.to_ascii_lowercase() {
            letter @ ('a'..='z' | '0'..='9' | '_') => letter,
            _ => '-',
        };
        let name: String =
            name.chars().map(fitting).skip_while(|letter| "-_".contains(*letter)).take(63).collect();
        Self(if name.is_empty() { Cow::Borrowed("other") } else { Cow::Owned(name) })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TaskError {
    /// A failure that another attempt may not meet.
    pub fn retry(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Retry { message: chain(error.into().as_ref()), after: None }
    }

    /// A failure that every attempt would meet.
    pub fn fail(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Fail { message: chain(error.into().as_ref()) }
    }

    /// The error with its class; an attempt that was stopped has none.
    #[must_use]
    pub fn of_class(self, class: ErrorClass) -> Self {
        match self {
            Self::Stopped => Self::Stopped,
            Self::Classed { error, .. } => Self::Classed { class, error },
            error => Self::Classed { class, error: Box::new(error) },
        }
    }
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_makes_a_class_that_the_database_takes() {
        for (text, class) in [
            ("exit-75", "exit-75"),
            ("SQL 40001", "sql-40001"),
            ("--é_x", "x"),
            ("é", "other"),
            ("", "other"),
            (&"x".repeat(100), &"x".repeat(63)),
        ] {
            assert_eq!(ErrorClass::new(text).as_str(), class);
        }
    }

    #[test]
    fn the_last_class_holds_and_a_stopped_attempt_has_none() {
        let error = TaskError::retry("busy").of_class(ErrorClass::TIMEOUT).of_class(ErrorClass::THROTTLED);
        assert_eq!(error.to_string(), "busy");
        let TaskError::Classed { class, error } = error else { panic!("it has a class") };
        assert_eq!(class, ErrorClass::THROTTLED);
        assert!(matches!(*error, TaskError::Retry { .. }));
        assert!(matches!(TaskError::Stopped.of_class(ErrorClass::PANIC), TaskError::Stopped));
    }
}
