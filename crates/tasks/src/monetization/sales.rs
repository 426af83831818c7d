//! `monetization.sales`: what the clock asks of the licence sale.

use futures::FutureExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tale_monetization::{Reconciled, SaleError, reconcile_sales};
use tale_worker::{Completion, Kind, TaskContext, TaskError};

/// Expires reservations, closes rounds that have ended and settles them: running it again changes nothing.
pub struct Sales;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Reservations that were not paid in time.
    expired: u64,
    /// Rounds whose unsold licences were passed on.
    closed: Vec<u32>,
    /// Rounds that became income.
    settled: Vec<u32>,
}

impl Kind for Sales {
    const NAME: &'static str = "monetization.sales";
    const SUMMARY: &'static str =
        "Expires unpaid reservations of the licence sale, and closes and settles its rounds.";
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(context: TaskContext, _: Arguments) -> Result<Completion<Outputs>, TaskError> {
        // A rehearsal, for the outputs: what is due then is due when the attempt is acknowledged too.
        let mut rehearsal = context.database.begin().await.map_err(TaskError::retry)?;
        let Reconciled { expired, closed, settled } =
            reconcile_sales(&mut rehearsal).await.map_err(refuse)?;
        rehearsal.rollback().await.map_err(TaskError::retry)?;
        let outputs = Outputs { expired, closed, settled };
        Ok(Completion::of(outputs).effect(|connection| {
            async move { reconcile_sales(connection).await.map(drop).map_err(refuse) }.boxed()
        }))
    }
}

fn refuse(error: SaleError) -> TaskError {
    if error.is_transient() { TaskError::retry(error) } else { TaskError::fail(error) }
}
