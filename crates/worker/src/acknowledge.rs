//! Acknowledging outcomes: plain successes in batches, those with effects each in a transaction of its own.

use std::time::Duration;

use serde_json::Value;
use sqlx::{Connection, PgConnection, PgPool};
use tale_primitives::RunId;
use tale_queue::{ClaimedTask, Failure, Lease, QueueError, Success, Wake, complete, fail, release};
use tale_storage::{NewArtifact, publish_artifacts};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{self, Instant},
};

use crate::{
    Completion, Effect, TaskError, WorkerMeters, held::Held, intake::Intake, outcome::chain, source::Outcome,
};

/// How many outcomes one transaction acknowledges at most.
const BATCH_MAX: usize = 400;
/// From how many outcomes on another transaction is worth its while beside one that is on its way.
const BATCH_GOOD: usize = 100;
/// How long outcomes wait for company while another transaction is on its way.
const GATHER: Duration = Duration::from_millis(2);
/// How many transactions acknowledge at the same time.
const LANES: usize = 4;
/// How long to wait before trying again while the database does not answer.
const PAUSE: Duration = Duration::from_millis(200);

/// The loop that acknowledges what the attempts of one worker came to, and claims more in the same transactions.
#[derive(Clone)]
pub(crate) struct Acknowledger {
    pub pool: PgPool,
    pub wake: Wake,
    pub held: Held,
    pub intake: Intake,
    pub meters: WorkerMeters,
}

impl Acknowledger {
    /// Acknowledges until every sender of outcomes is gone.
    ///
    /// What comes in while nothing is on its way is acknowledged at once; under load outcomes gather while the
    /// transactions before them wait for the disk.
    pub async fn run(self, mut outcomes: mpsc::UnboundedReceiver<Outcome>) {
        let mut lanes = JoinSet::new();
        let mut batch = Vec::new();
        let mut gathered_since = Instant::now();
        let mut is_open = true;
        while is_open || !batch.is_empty() || !lanes.is_empty() {
            let is_due = lanes.is_empty() || batch.len() >= BATCH_GOOD || gathered_since.elapsed() >= GATHER;
            if !batch.is_empty() && lanes.len() < LANES && is_due {
                let (this, outcomes) = (self.clone(), std::mem::take(&mut batch));
                lanes.spawn(async move { this.acknowledge(outcomes).await });
                continue;
            }
            let room = BATCH_MAX.saturating_sub(batch.len());
            tokio::select! {
                received = outcomes.recv_many(&mut batch, room), if is_open && room > 0 => {
                    is_open = received > 0;
                    if batch.len() == received {
                        gathered_since = Instant::now();
                    }
                }
                _ = lanes.join_next(), if !lanes.is_empty() => {}
                () = time::sleep_until(gathered_since + GATHER), if !batch.is_empty() && lanes.len() < LANES => {}
            }
        }
    }

    async fn acknowledge(&self, outcomes: Vec<Outcome>) {
        let started = Instant::now();
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
        if !successes.is_empty() {
            failures.extend(self.commit_successes(&successes).await);
        }
        for last in [Acknowledgement::Fail(&failures), Acknowledgement::Release(&stopped)] {
            if let Some(error) = self.until_answered(&last).await {
                tracing::error!(%error, "an outcome could not be recorded: its task is queued again when its lease ends");
            }
        }
        self.meters.ended("failed", failures.len());
        self.meters.ended("stopped", stopped.len());
        self.meters.ended("succeeded", leases.len().saturating_sub(failures.len() + stopped.len()));
        self.meters.acknowledged(started.elapsed());
        self.held.remove(leases);
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
                Ok(mut connection) => self.tell_once(&mut connection, acknowledgement).await,
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

impl Acknowledger {
    /// Tells the queue once and takes in what was claimed on the way; returns an effect's own refusal.
    async fn tell_once(
        &self,
        connection: &mut PgConnection,
        acknowledgement: &Acknowledgement<'_>,
    ) -> Result<Option<TaskError>, QueueError> {
        let Answer { refused, released, claimed } = acknowledgement.send(connection, &self.intake).await?;
        let late = self.intake.accept(claimed);
        if !late.is_empty() {
            // the worker has stopped in the meantime, or a task must run alone; where this fails, the leases end with it
            let handed_back = release(connection, &late).await;
            self.held.remove(late);
            handed_back?;
        }
        if released {
            self.wake.tell();
        }
        Ok(refused)
    }
}

/// What the queue answered.
#[derive(Default)]
struct Answer {
    /// An effect's own refusal, after everything was rolled back.
    refused: Option<TaskError>,
    /// Whether other tasks became ready.
    released: bool,
    /// What was claimed in the same transaction.
    claimed: Vec<ClaimedTask>,
}

impl Answer {
    fn released(released: bool) -> Self {
        Self { released, ..Self::default() }
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

    /// Tells the queue once.
    async fn send(&self, connection: &mut PgConnection, intake: &Intake) -> Result<Answer, QueueError> {
        match self {
            Self::Complete(successes) => {
                let mut transaction = connection.begin().await?;
                let completed = complete(&mut transaction, successes).await?;
                let claimed = intake.take(&mut transaction, successes.len()).await?;
                transaction.commit().await?;
                Ok(Answer { refused: None, released: completed.released > 0, claimed })
            }
            Self::Fail(failures) => fail(connection, failures).await.map(|_| Answer::released(true)),
            Self::Release(leases) => release(connection, leases).await.map(|_| Answer::released(true)),
            Self::Commit { success, run, artifacts, effects } => {
                let mut transaction = connection.begin().await?;
                let completed = complete(&mut transaction, std::slice::from_ref(*success)).await?;
                if completed.won.is_empty() {
                    tracing::info!(task = %success.lease.task, "the attempt was lost; what it did is rolled back");
                    transaction.rollback().await?;
                    return Ok(Answer::default());
                }
                match apply(&mut transaction, *run, success.lease, artifacts, effects).await {
                    Ok(()) => {
                        transaction.commit().await?;
                        Ok(Answer::released(completed.released > 0))
                    }
                    Err(refusal) => {
                        transaction.rollback().await?;
                        Ok(Answer { refused: Some(refusal), ..Answer::default() })
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
    let (class, error) = match error {
        TaskError::Classed { class, error } => (Some(class.as_str().to_owned()), *error),
        error => (None, error),
    };
    let is_final = matches!(error, TaskError::Fail { .. });
    let (message, retry_after) = match error {
        TaskError::Retry { message, after } => (message, after),
        TaskError::Fail { message } => (message, None),
        error @ (TaskError::Stopped | TaskError::Classed { .. }) => (error.to_string(), None),
    };
    Failure { lease, error: message, is_final, retry_after, class }
}
