//! `settlement.vest`: what the vesting table releases.

use futures::FutureExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tale_primitives::{Amount, UtcDay};
use tale_treasury::post_due_releases;
use tale_worker::{Completion, Kind, TaskContext, TaskError};

use super::{refuse, rehearsal};

/// Posts every release of the vesting table that is due and not in the ledger yet.
pub struct Vest;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Releases that are due by this day, `YYYY-MM-DD`.
    #[schemars(with = "String")]
    day: UtcDay,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// From when on the token vests; nothing while that is not set, and then nothing is released.
    #[schemars(with = "Option<String>")]
    start: Option<UtcDay>,
    /// How many releases this run posted.
    posted: usize,
    /// What they come to, in base units.
    #[schemars(with = "String")]
    amount: Amount,
}

impl Kind for Vest {
    const NAME: &'static str = "settlement.vest";
    const SUMMARY: &'static str = "Posts the releases of the vesting table that are due, each once.";
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let day = arguments.day;
        let mut rehearsal = rehearsal(&context.database).await?;
        let vested = post_due_releases(&mut rehearsal, day).await.map_err(refuse)?;
        rehearsal.rollback().await.map_err(TaskError::retry)?;
        for posted in &vested.posted {
            let release = &posted.release;
            context.log(format!("{} {}: {}", release.pool, release.part.number, release.part.amount));
        }
        let amounts = vested.posted.iter().map(|posted| posted.release.part.amount);
        let outputs = Outputs {
            start: vested.start,
            posted: vested.posted.len(),
            // Parts of the supply, which fits.
            amount: Amount::checked_sum(amounts).unwrap_or(Amount::MAX),
        };
        Ok(Completion::of(outputs).effect(move |connection| {
            async move { post_due_releases(connection, day).await.map(drop).map_err(refuse) }.boxed()
        }))
    }
}
