//! `settlement.post`: the result becomes a journal of the ledger.

use futures::FutureExt;
use schemars::JsonSchema;
use serde::Serialize;
use tale_primitives::UtcDay;
use tale_treasury::{EpochState, post_epoch};
use tale_worker::{Completion, Kind, TaskContext, TaskError};

use super::{Arguments, is_before, refuse};

/// Computes the result a second time, in SQL, and only where that agrees posts one balanced journal under the epoch's
/// key: posting it again is the same journal.
pub struct Post;

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// The day.
    #[schemars(with = "String")]
    epoch: UtcDay,
    /// Whether this run posted it.
    changed: bool,
}

impl Kind for Post {
    const NAME: &'static str = "settlement.post";
    const SUMMARY: &'static str =
        "Checks an epoch's rewards by a second computation and posts them as one balanced journal.";
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let epoch = arguments.epoch;
        let changed = is_before(&context.database, epoch, EpochState::Posted).await?;
        Ok(Completion::of(Outputs { epoch, changed }).effect(move |connection| {
            async move { post_epoch(connection, epoch).await.map(drop).map_err(refuse) }.boxed()
        }))
    }
}
