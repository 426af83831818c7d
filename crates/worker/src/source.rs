//! The queue as an apalis backend: claimed tasks come in from the backlog, outcomes leave through a channel.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
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

use crate::{Completion, ErrorClass, TaskError, backlog::Backlog, pace::Pace};

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
    pub backlog: Backlog,
    pub pace: Pace,
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
        let next = self.backlog.poll_start(context);
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
        let Self { backlog, pace, outcomes } = self;
        OutcomeLayer { backlog: backlog.clone(), pace: pace.clone(), outcomes: outcomes.clone() }
    }
}

/// The outermost layer of the worker: whatever happens to an attempt, panics included, becomes its outcome.
#[derive(Debug, Clone)]
pub(crate) struct OutcomeLayer {
    backlog: Backlog,
    pace: Pace,
    outcomes: mpsc::UnboundedSender<Outcome>,
}

impl<S> Layer<S> for OutcomeLayer {
    type Service = SendOutcome<S>;

    fn layer(&self, inner: S) -> SendOutcome<S> {
        SendOutcome { inner, layer: self.clone() }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct SendOutcome<S> {
    inner: S,
    layer: OutcomeLayer,
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
        let OutcomeLayer { backlog, pace, outcomes } = self.layer.clone();
        let attempt = self.inner.call(task);
        async move {
            let started = Instant::now();
            let result = attempt.await.map_err(|error| {
                let error: BoxDynError = error.into();
                match error.downcast::<TaskError>() {
                    Ok(error) => *error,
                    // the catch-panic layer's error, or that of a task which the runtime dropped
                    Err(error) => TaskError::retry(error).of_class(ErrorClass::PANIC),
                }
            });
            pace.record(started.elapsed());
            // the receiver outlives the apalis worker; without it there is nobody left to tell
            let _ = outcomes.send(Outcome { lease, run, result });
            backlog.free_slot();
            Ok(())
        }
        .boxed()
    }
}
