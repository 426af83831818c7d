//! How an attempt ends.

use std::{error::Error, fmt, time::Duration};

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
