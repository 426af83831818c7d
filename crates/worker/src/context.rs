//! What a task may touch while it runs.

use std::any::Any;

use sqlx::PgPool;
use tale_primitives::{RunId, UtcDay};
use tale_queue::Lease;
use tale_storage::Store;
use tale_telemetry::TraceParent;
use tokio::task;
use tokio_util::sync::CancellationToken;

use crate::{ErrorClass, TaskError, logs::AttemptLog, redaction::Redaction};

/// The surroundings of one attempt.
#[derive(Debug, Clone)]
pub struct TaskContext {
    /// The run.
    pub run: RunId,
    /// The run's pipeline.
    pub pipeline: String,
    /// The UTC day that the run is about.
    pub logical_date: UtcDay,
    /// The step's name.
    pub step: String,
    /// The task's place in the step's fan-out.
    pub index: u32,
    /// The task, and the fencing token of this attempt.
    pub lease: Lease,
    /// Which attempt this is, from 1.
    pub attempt_number: u32,
    /// The object store.
    pub store: Store,
    /// The database, for reading; whatever a task changes there is an effect of its completion.
    pub database: PgPool,
    pub(crate) cancellation: Cancellation,
    pub(crate) log: AttemptLog,
    pub(crate) redaction: Redaction,
    pub(crate) trace_parent: Option<TraceParent>,
}

/// Whether an attempt was told to stop.
#[derive(Debug, Clone)]
pub struct Cancellation(pub(crate) CancellationToken);

impl Cancellation {
    /// Whether the attempt was told to stop: long computations ask now and then.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until the attempt is told to stop.
    pub async fn cancelled(&self) {
        self.0.cancelled().await;
    }
}

impl TaskContext {
    /// Keeps a line of the attempt's log, with stars in the place of secrets; what is printed after the attempt's end is
    /// not kept.
    pub fn log(&self, line: impl Into<String>) {
        self.log.print(self.redaction.text(line));
    }

    /// A text with stars in the place of the attempt's secrets: for what is cut before it is logged or handed on,
    /// because half a secret is not recognised any more.
    pub fn redacted(&self, text: impl Into<String>) -> String {
        self.redaction.text(text)
    }

    /// The attempt's place in a trace, a W3C `traceparent`, for programs that it calls; nothing without traces.
    pub fn trace_parent(&self) -> Option<String> {
        self.trace_parent.map(|parent| parent.to_string())
    }

    /// Whether, and when, the attempt is told to stop.
    pub fn cancellation(&self) -> Cancellation {
        self.cancellation.clone()
    }

    /// Runs a computation away from the threads that serve connections and heartbeats.
    ///
    /// The computation is given the attempt's cancellation and should return soon after it is cancelled.
    pub async fn compute<T, F>(&self, computation: F) -> Result<T, TaskError>
    where
        F: FnOnce(&Cancellation) -> Result<T, TaskError> + Send + 'static,
        T: Send + 'static,
    {
        let cancellation = self.cancellation();
        match task::spawn_blocking(move || computation(&cancellation)).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => {
                let error = TaskError::Retry { message: panic_message(error), after: None };
                Err(error.of_class(ErrorClass::PANIC))
            }
            Err(_) => Err(TaskError::Stopped),
        }
    }
}

fn panic_message(error: task::JoinError) -> String {
    message_of(error.into_panic())
}

/// What a panic said.
pub(crate) fn message_of(payload: Box<dyn Any + Send>) -> String {
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned());
    format!("the task panicked: {message}")
}
