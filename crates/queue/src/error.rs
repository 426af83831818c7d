use tale_primitives::{Digest, RunId, TaskId};

use crate::archive::ArchiveRefusal;

/// What can go wrong between the product and its queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The database refused or could not be reached.
    #[error("the queue's database did not answer")]
    Database(#[from] sqlx::Error),
    /// No pipeline of that name has been applied.
    #[error("there is no pipeline {0:?}")]
    UnknownPipeline(String),
    /// No run has this id.
    #[error("there is no run {0}")]
    UnknownRun(RunId),
    /// The run has no such step.
    #[error("run {run} has no step {step:?}")]
    UnknownStep {
        /// The run.
        run: RunId,
        /// The name that was given.
        step: String,
    },
    /// The task's parent run vanished: the database was changed from outside.
    #[error("task {0} has no run")]
    Orphan(TaskId),
    /// A stored value cannot be read back.
    #[error("{what} holds {value:?}, which this version does not know")]
    Unreadable {
        /// The column.
        what: &'static str,
        /// Its content.
        value: String,
    },
    /// The object store did not take what was to be archived.
    #[error("the object store did not take {what}")]
    Keep {
        /// What it is.
        what: String,
        /// Why.
        #[source]
        source: ArchiveRefusal,
    },
    /// The object store did not give what was archived.
    #[error("the object store did not give {what} (object {kept})")]
    Fetch {
        /// What it is.
        what: String,
        /// The object.
        kept: Digest,
        /// Why.
        #[source]
        source: ArchiveRefusal,
    },
    /// An archived object does not hold what its row says.
    #[error("{what} cannot be read from the archive")]
    Damaged {
        /// What it is.
        what: String,
        /// What is wrong with it.
        #[source]
        source: std::io::Error,
    },
}

impl QueueError {
    /// Whether trying the same again can help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Database(error) if tale_database::is_transient(error))
    }
}
