//! `settlement.accrue`: what stakes earn.

use futures::FutureExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tale_primitives::{Amount, UtcDay};
use tale_treasury::accrue_staking;
use tale_worker::{Completion, Kind, TaskContext, TaskError};

use super::{refuse, rehearsal};

/// Accrues every day that is over and has not accrued yet, and ends the locks whose last day it was.
pub struct Accrue;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The last day to accrue, `YYYY-MM-DD`.
    #[schemars(with = "String")]
    day: UtcDay,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// How many days this run accrued.
    days: usize,
    /// What they came to, in base units.
    #[schemars(with = "String")]
    rewards: Amount,
    /// How many locks ended.
    matured: u64,
}

impl Kind for Accrue {
    const NAME: &'static str = "settlement.accrue";
    const SUMMARY: &'static str = "Accrues staking rewards, day by day, and ends locks that are over.";
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let day = arguments.day;
        let mut rehearsal = rehearsal(&context.database).await?;
        let accrued = accrue_staking(&mut rehearsal, day).await.map_err(refuse)?;
        rehearsal.rollback().await.map_err(TaskError::retry)?;
        for day in accrued.days.iter().filter(|day| day.paid < day.due) {
            context.log(format!("{}: the budget covers {} of {}", day.day, day.paid, day.due));
        }
        let outputs = Outputs {
            days: accrued.days.len(),
            // Parts of the budget, which fits.
            rewards: Amount::checked_sum(accrued.days.iter().map(|day| day.paid)).unwrap_or(Amount::MAX),
            matured: accrued.matured,
        };
        Ok(Completion::of(outputs).effect(move |connection| {
            async move { accrue_staking(connection, day).await.map(drop).map_err(refuse) }.boxed()
        }))
    }
}
