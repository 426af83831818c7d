//! One worker or scheduler, and how it talks to the queue.

use serde_json::json;
use sqlx::{Connection, PgConnection};
use tale_primitives::{RunId, TaskId, WorkerId};
use tale_queue::{
    Claimer, Failure, Lease, NewRun, NewWorker, Parent, QueueError, Success, complete, fail, register_worker,
};

use crate::plan::{PIPELINES, RunPlan};

/// A worker or a scheduler: one after another sits in the same seat, each under an id of its own.
pub struct Seat {
    pub connection: PgConnection,
    pub pool: &'static str,
    pub worker: WorkerId,
    pub claimer: Claimer,
    /// What it thinks that it holds.
    pub held: Vec<Lease>,
}

/// What a worker is about to acknowledge.
#[derive(Debug, Default)]
pub struct Decision {
    pub successes: Vec<Lease>,
    pub failures: Vec<Failure>,
    pub ending: Ending,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub enum Ending {
    #[default]
    Commit,
    /// The connection breaks before the transaction is committed.
    Break,
    /// It breaks after that: the worker does not hear that it has won.
    LoseAnswer,
}

/// Which tasks the queue said were still the caller's.
pub struct Answer {
    pub completed: Vec<TaskId>,
    pub failed: Vec<TaskId>,
}

impl Seat {
    pub async fn take(connection: PgConnection, pool: &'static str) -> Self {
        let mut connection = connection;
        let (worker, claimer) = newcomer(&mut connection, pool).await;
        Self { connection, pool, worker, claimer, held: vec![] }
    }

    pub async fn reincarnate(&mut self) {
        (self.worker, self.claimer) = newcomer(&mut self.connection, self.pool).await;
    }
}

async fn newcomer(connection: &mut PgConnection, pool: &str) -> (WorkerId, Claimer) {
    let id = WorkerId::generate();
    let worker =
        NewWorker { id, pool: pool.to_owned(), host: "simulated".to_owned(), pid: 1, slots: 10, has: None };
    register_worker(connection, &worker).await.unwrap();
    (id, Claimer::open(connection, id, pool).await.unwrap())
}

pub fn new_run(plan: &RunPlan, versions: &[i64], parent: Option<Lease>) -> NewRun {
    NewRun {
        id: RunId::generate(),
        version_id: versions[plan.pipeline],
        pipeline: PIPELINES[plan.pipeline].0.to_owned(),
        params: json!({}),
        dedup_key: None,
        logical_date: "2026-11-23".parse().unwrap(),
        fire_time: None,
        priority: plan.priority,
        trigger: "the simulator".to_owned(),
        reason: None,
        tenant: plan.tenant.map(str::to_owned),
        parent: parent.map(|lease| Parent { task: lease.task, attempt: lease.attempt }),
        uses_cache: true,
        steps: plan.steps.iter().enumerate().map(|(index, step)| step.to_new_step(index)).collect(),
    }
}

/// Does what a worker does: until the database has answered. Nothing is answered where the transaction broke.
pub async fn perform(connection: &mut PgConnection, decision: &Decision) -> Option<Answer> {
    loop {
        match try_perform(connection, decision).await {
            Ok(answer) => return answer,
            Err(error) if error.is_transient() => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

async fn try_perform(
    connection: &mut PgConnection,
    decision: &Decision,
) -> Result<Option<Answer>, QueueError> {
    let mut transaction = connection.begin().await?;
    let mut completed = Vec::new();
    if let [alone] = decision.successes.as_slice() {
        // its effect comes first, and goes when the acknowledgement does not count
        let mut attempt = transaction.begin().await?;
        add_effect(&mut attempt, alone.task).await?;
        completed = complete(&mut attempt, &[success(*alone)]).await?.won;
        if completed.is_empty() { attempt.rollback().await? } else { attempt.commit().await? }
    } else if !decision.successes.is_empty() {
        let successes: Vec<Success> = decision.successes.iter().copied().map(success).collect();
        completed = complete(&mut transaction, &successes).await?.won;
        for task in &completed {
            add_effect(&mut transaction, *task).await?;
        }
    }
    let failed = fail(&mut transaction, &decision.failures).await?;
    if decision.ending == Ending::Break {
        transaction.rollback().await?;
        return Ok(None);
    }
    transaction.commit().await?;
    Ok(Some(Answer { completed, failed }))
}

async fn add_effect(connection: &mut PgConnection, task: TaskId) -> Result<(), QueueError> {
    sqlx::query("insert into public.effect values ($1)").bind(task.raw()).execute(connection).await?;
    Ok(())
}

pub fn leases_of(failures: &[Failure]) -> Vec<Lease> {
    failures.iter().map(|failure| failure.lease).collect()
}

fn success(lease: Lease) -> Success {
    Success { lease, outputs: json!({}) }
}
