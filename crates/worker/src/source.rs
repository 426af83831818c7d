//! The queue as an apalis backend: claimed tasks come in through a channel, outcomes leave through another.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    error::BoxDynError,
    task::{Task, builder::TaskBuilder, task_id::RandomId},
    worker::context::WorkerContext,
};
use futures::{FutureExt, future::BoxFuture};
use serde_json::Value;
use tale_primitives::RunId;
use tale_queue::{ClaimedTask, Lease};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service};

use crate::{Completion, TaskError};

/// A claimed task on its way to its kind.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    pub claimed: Arc<ClaimedTask>,
    /// Cancelled when the attempt must stop.
    pub stop: CancellationToken,
}

/// How one attempt ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub lease: Lease,
    pub run: RunId,
    pub result: Result<Completion<Value>, TaskError>,
}

/// The apalis backend of one worker.
#[derive(Debug)]
pub(crate) struct ClaimedTasks {
    pub assignments: mpsc::UnboundedReceiver<Assignment>,
    pub outcomes: mpsc::UnboundedSender<Outcome>,
}

impl Backend for ClaimedTasks {
    type Task = Task<Assignment>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Option<Result<Task<Assignment>, Infallible>>> {
        let next = self.assignments.poll_recv(context);
        if let Poll::Ready(None) = next {
            // without more to come the worker would wait for its next task for ever; it finishes what runs
            let _ = worker.stop();
        }
        next.map(|next| next.map(|assignment| Ok(TaskBuilder::new(assignment).build())))
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for ClaimedTasks {
    type Args = Assignment;
    type Id = RandomId;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = OutcomeLayer;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> OutcomeLayer {
        OutcomeLayer(self.outcomes.clone())
    }
}

/// The outermost layer of the worker: whatever happens to an attempt, panics included, becomes its outcome.
#[derive(Debug, Clone)]
pub(crate) struct OutcomeLayer(mpsc::UnboundedSender<Outcome>);

impl<S> Layer<S> for OutcomeLayer {
    type Service = SendOutcome<S>;

    fn layer(&self, inner: S) -> SendOutcome<S> {
        SendOutcome { inner, outcomes: self.0.clone() }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct SendOutcome<S> {
    inner: S,
    outcomes: mpsc::UnboundedSender<Outcome>,
}

impl<S> Service<Task<Assignment>> for SendOutcome<S>
where
    S: Service<Task<Assignment>, Response = Completion<Value>>,
    S::Error: Into<BoxDynError>,
    S::Future: Send + 'static,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<(), BoxDynError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, task: Task<Assignment>) -> Self::Future {
        let (lease, run) = (task.args.claimed.lease, task.args.claimed.run);
        let outcomes = self.outcomes.clone();
        let attempt = self.inner.call(task);
        async move {
            let result = attempt.await.map_err(|error| {
                let error: BoxDynError = error.into();
                match error.downcast::<TaskError>() {
                    Ok(error) => *error,
                    // the catch-panic layer's error, or that of a task which the runtime dropped
                    Err(error) => TaskError::retry(error),
                }
            });
            // the receiver outlives the apalis worker; without it there is nobody left to tell
            let _ = outcomes.send(Outcome { lease, run, result });
            Ok(())
        }
        .boxed()
    }
}
