//! Acknowledging outcomes: plain successes in batches, those with effects each in a transaction of its own.

use std::time::Duration;

use serde_json::Value;
use sqlx::{Connection, PgConnection, PgPool};
use tale_primitives::RunId;
use tale_queue::{Failure, Lease, QueueError, Success, Wake, complete, fail, release};
use tale_storage::{NewArtifact, publish_artifacts};
use tokio::{sync::mpsc, time};

use crate::{Completion, Effect, TaskError, held::Held, outcome::chain, source::Outcome};

/// How many outcomes one transaction acknowledges at most.
const BATCH: usize = 100;
/// How long outcomes are gathered before they are acknowledged.
const GATHER: Duration = Duration::from_millis(2);
/// How long to wait before trying again while the database does not answer.
const PAUSE: Duration = Duration::from_millis(200);

/// The loop that acknowledges what the attempts of one worker came to.
pub(crate) struct Acknowledger {
    pub pool: PgPool,
    pub wake: Wake,
    pub held: Held,
    pub outcomes: mpsc::UnboundedReceiver<Outcome>,
}

impl Acknowledger {
    /// Acknowledges until every sender of outcomes is gone.
    pub async fn run(mut self) {
        let mut batch = Vec::new();
        while let Some(first) = self.outcomes.recv().await {
            batch.push(first);
            // an effect is acknowledged by itself, so that waiting for company would only cost time
            if batch.iter().all(|outcome| matches!(&outcome.result, Ok(completion) if is_plain(completion))) {
                time::sleep(GATHER).await;
            }
            while batch.len() < BATCH
                && let Ok(next) = self.outcomes.try_recv()
            {
                batch.push(next);
            }
            self.acknowledge(std::mem::take(&mut batch)).await;
        }
    }

    async fn acknowledge(&self, outcomes: Vec<Outcome>) {
        let leases: Vec<Lease> = outcomes.iter().map(|outcome| outcome.lease).collect();
        let mut successes = Vec::new();
        let mut failures = Vec::new();
        let mut stopped = Vec::new();
        for Outcome { lease, run, result } in outcomes {
            match result {
                Ok(completion) if is_plain(&completion) => {
                    successes.push(Success { lease, outputs: completion.outputs });
                }
                Ok(completion) => failures.extend(self.commit_effects(lease, run, completion).await),
                Err(TaskError::Stopped) => stopped.push(lease),
                Err(error) => failures.push(failure(lease, error)),
            }
        }
        failures.extend(self.commit_successes(&successes).await);
        for last in [Acknowledgement::Fail(&failures), Acknowledgement::Release(&stopped)] {
            if let Some(error) = self.until_answered(&last).await {
                tracing::error!(%error, "an outcome could not be recorded: its task is queued again when its lease ends");
            }
        }
        self.held.remove(leases);
        self.wake.tell();
    }

    /// Acknowledges successes together, or one by one where the database refuses one of them.
    async fn commit_successes(&self, successes: &[Success]) -> Vec<Failure> {
        if self.until_answered(&Acknowledgement::Complete(successes)).await.is_none() {
            return vec![];
        }
        let mut failures = Vec::new();
        for success in successes {
            let alone = Acknowledgement::Complete(std::slice::from_ref(success));
            let refused = self.until_answered(&alone).await;
            failures.extend(refused.map(|error| failure(success.lease, error)));
        }
        failures
    }

    /// Commits one success with its artifacts and effects, all or nothing; returns the failure that it turned into.
    async fn commit_effects(
        &self,
        lease: Lease,
        run: RunId,
        completion: Completion<Value>,
    ) -> Option<Failure> {
        let Completion { outputs, artifacts, effects } = completion;
        let success = Success { lease, outputs };
        let acknowledgement =
            Acknowledgement::Commit { success: &success, run, artifacts: &artifacts, effects: &effects };
        self.until_answered(&acknowledgement).await.map(|error| failure(lease, error))
    }

    /// Tries until the database answers or none of the leases is held any more; returns an error that stays.
    async fn until_answered(&self, acknowledgement: &Acknowledgement<'_>) -> Option<TaskError> {
        let leases = acknowledgement.leases();
        while leases.iter().any(|lease| self.held.contains(lease)) {
            let result = match self.pool.acquire().await {
                Ok(mut connection) => acknowledgement.send(&mut connection).await,
                Err(error) => Err(error.into()),
            };
            match result {
                Ok(refused) => return refused,
                Err(error) if error.is_transient() => {
                    tracing::warn!(error = chain(&error), "outcomes wait for the database");
                    time::sleep(PAUSE).await;
                }
                Err(error) => return Some(TaskError::fail(error)),
            }
        }
        None
    }
}

/// One thing to tell the queue.
enum Acknowledgement<'a> {
    Complete(&'a [Success]),
    Fail(&'a [Failure]),
    Release(&'a [Lease]),
    Commit { success: &'a Success, run: RunId, artifacts: &'a [NewArtifact], effects: &'a [Effect] },
}

impl Acknowledgement<'_> {
    fn leases(&self) -> Vec<Lease> {
        match self {
            Self::Complete(successes) => successes.iter().map(|success| success.lease).collect(),
            Self::Fail(failures) => failures.iter().map(|failure| failure.lease).collect(),
            Self::Release(leases) => leases.to_vec(),
            Self::Commit { success, .. } => vec![success.lease],
        }
    }

    /// Tells the queue once; the inner error is an effect's own refusal, after everything was rolled back.
    async fn send(&self, connection: &mut PgConnection) -> Result<Option<TaskError>, QueueError> {
        match self {
            Self::Complete(successes) => complete(connection, successes).await.map(|_| None),
            Self::Fail(failures) => fail(connection, failures).await.map(|_| None),
            Self::Release(leases) => release(connection, leases).await.map(|_| None),
            Self::Commit { success, run, artifacts, effects } => {
                let mut transaction = connection.begin().await?;
                if complete(&mut transaction, std::slice::from_ref(*success)).await?.is_empty() {
                    tracing::info!(task = %success.lease.task, "the attempt was lost; what it did is rolled back");
                    transaction.rollback().await?;
                    return Ok(None);
                }
                match apply(&mut transaction, *run, success.lease, artifacts, effects).await {
                    Ok(()) => transaction.commit().await.map(|()| None).map_err(QueueError::from),
                    Err(refusal) => {
                        transaction.rollback().await?;
                        Ok(Some(refusal))
                    }
                }
            }
        }
    }
}

async fn apply(
    connection: &mut PgConnection,
    run: RunId,
    lease: Lease,
    artifacts: &[NewArtifact],
    effects: &[Effect],
) -> Result<(), TaskError> {
    publish_artifacts(connection, run, lease.task, lease.attempt, artifacts)
        .await
        .map_err(TaskError::retry)?;
    for effect in effects {
        effect(connection).await?;
    }
    Ok(())
}

fn is_plain(completion: &Completion<Value>) -> bool {
    completion.artifacts.is_empty() && completion.effects.is_empty()
}

fn failure(lease: Lease, error: TaskError) -> Failure {
    let is_final = matches!(error, TaskError::Fail { .. });
    let (message, retry_after) = match error {
        TaskError::Retry { message, after } => (message, after),
        TaskError::Fail { message } => (message, None),
        TaskError::Stopped => ("the attempt was stopped".to_owned(), None),
    };
    Failure { lease, error: message, is_final, retry_after }
}
