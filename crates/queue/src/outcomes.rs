//! Acknowledgements: every one is fenced by the attempt's token.

use std::time::Duration;

use serde_json::Value;
use sqlx::{PgConnection, types::Json};
use tale_primitives::TaskId;

use crate::{Lease, QueueError};

/// A task that ended well.
#[derive(Debug, Clone)]
pub struct Success {
    /// The attempt.
    pub lease: Lease,
    /// What it returns to the steps after it.
    pub outputs: Value,
}

/// An attempt that ended in an error.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The attempt.
    pub lease: Lease,
    /// The error, for people.
    pub error: String,
    /// Whether trying again is useless.
    pub is_final: bool,
    /// When to try again, where the task chose; otherwise the step's back-off decides.
    pub retry_after: Option<Duration>,
    /// The class of the error, which the step may have a policy of its own for: up to 63 of `a-z`, `0-9`, `-` and `_`.
    pub class: Option<String>,
}

/// What an acknowledgement of successes did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// The tasks that were still the caller's.
    ///
    /// A task that is missing was lost: its attempt has no effect, and what the caller's transaction did on its behalf
    /// must be rolled back.
    pub won: Vec<TaskId>,
    /// How many tasks became ready.
    pub released: u32,
}

/// Acknowledges successes and opens what they free.
pub async fn complete(connection: &mut PgConnection, successes: &[Success]) -> Result<Completed, QueueError> {
    let (tasks, attempts) = tokens(successes.iter().map(|success| success.lease));
    let outputs: Vec<Json<&Value>> = successes.iter().map(|success| Json(&success.outputs)).collect();
    let row = sqlx::query_file!(
        "../../sql/queue/finish_tasks.sql",
        &tasks,
        &attempts,
        outputs.as_slice() as &[Json<&Value>]
    )
    .fetch_one(connection)
    .await?;
    Ok(Completed {
        won: row.won.into_iter().map(TaskId::from_raw).collect(),
        released: row.released.unsigned_abs(),
    })
}

/// Records failed attempts: each task is delayed for its next one, or fails for good.
pub async fn fail(connection: &mut PgConnection, failures: &[Failure]) -> Result<Vec<TaskId>, QueueError> {
    let (tasks, attempts) = tokens(failures.iter().map(|failure| failure.lease));
    let errors: Vec<String> =
        failures.iter().map(|failure| failure.error.replace('\0', "\u{fffd}")).collect();
    let finals: Vec<bool> = failures.iter().map(|failure| failure.is_final).collect();
    let delays: Vec<Option<i64>> =
        failures.iter().map(|failure| failure.retry_after.map(|delay| delay.as_millis() as i64)).collect();
    let classes: Vec<Option<&str>> = failures.iter().map(|failure| failure.class.as_deref()).collect();
    let recorded = sqlx::query_file_scalar!(
        "../../sql/queue/fail_tasks.sql",
        &tasks,
        &attempts,
        &errors,
        &finals,
        &delays as &[Option<i64>],
        classes.as_slice() as &[Option<&str>]
    )
    .fetch_one(connection)
    .await?;
    Ok(recorded.into_iter().map(TaskId::from_raw).collect())
}

/// Hands leases back that were not finished, without counting a failure; returns how many were still held.
pub async fn release(connection: &mut PgConnection, leases: &[Lease]) -> Result<u32, QueueError> {
    let (tasks, attempts) = tokens(leases.iter().copied());
    let released = sqlx::query_file_scalar!("../../sql/queue/release_leases.sql", &tasks, &attempts)
        .fetch_one(connection)
        .await?;
    Ok(released as u32)
}

pub(crate) fn tokens(leases: impl Iterator<Item = Lease>) -> (Vec<i64>, Vec<i64>) {
    leases.map(|lease| (lease.task.raw(), lease.attempt.raw())).unzip()
}
