//! `settlement.withdraw`: rewards become tokens.

use futures::FutureExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tale_primitives::{Amount, UtcDay};
use tale_treasury::settle_withdrawals;
use tale_worker::{Completion, Kind, TaskContext, TaskError};

use super::{refuse, rehearsal};

/// Matures the withdrawals whose time is over, and pays them.
pub struct Withdraw;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Withdrawals whose time is over by this day, `YYYY-MM-DD`.
    #[schemars(with = "String")]
    day: UtcDay,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// How many matured.
    matured: u64,
    /// How many this run paid.
    paid: usize,
    /// What they paid, in base units.
    #[schemars(with = "String")]
    net: Amount,
}

impl Kind for Withdraw {
    const NAME: &'static str = "settlement.withdraw";
    const SUMMARY: &'static str = "Matures withdrawals and pays those whose time is over, each once.";
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let day = arguments.day;
        let mut rehearsal = rehearsal(&context.database).await?;
        let settled = settle_withdrawals(&mut rehearsal, day).await.map_err(refuse)?;
        rehearsal.rollback().await.map_err(TaskError::retry)?;
        let outputs = Outputs { matured: settled.matured, paid: settled.paid.len(), net: settled.net };
        Ok(Completion::of(outputs).effect(move |connection| {
            async move { settle_withdrawals(connection, day).await.map(drop).map_err(refuse) }.boxed()
        }))
    }
}
