//! `ledger.expire`: what the clock asks of the ledger.

use futures::FutureExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tale_ledger::{LedgerError, expire_holds};
use tale_worker::{Completion, Kind, TaskContext, TaskError};

/// How many holds a run ends: others post nothing while it does, and the next run ends more.
const AT_ONCE: u32 = 1000;

/// Frees what overdue holds reserve: running it again changes nothing.
pub struct Expire;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Holds that were overdue.
    expired: u64,
}

impl Kind for Expire {
    const NAME: &'static str = "ledger.expire";
    const SUMMARY: &'static str = "Frees what overdue holds of the ledger reserve.";
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(context: TaskContext, _: Arguments) -> Result<Completion<Outputs>, TaskError> {
        // A rehearsal, for the outputs: what is overdue then is overdue when the attempt is acknowledged too.
        let mut rehearsal = context.database.begin().await.map_err(TaskError::retry)?;
        let expired = expire_holds(&mut rehearsal, AT_ONCE).await.map_err(refuse)?;
        rehearsal.rollback().await.map_err(TaskError::retry)?;
        Ok(Completion::of(Outputs { expired }).effect(|connection| {
            async move { expire_holds(connection, AT_ONCE).await.map(drop).map_err(refuse) }.boxed()
        }))
    }
}

fn refuse(error: LedgerError) -> TaskError {
    if error.is_transient() { TaskError::retry(error) } else { TaskError::fail(error) }
}
