//! `settlement.finalise`: epochs that nobody disputed.

use futures::FutureExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tale_primitives::UtcDay;
use tale_treasury::finalise_epochs;
use tale_worker::{Completion, Kind, TaskContext, TaskError};

use super::{refuse, rehearsal};

/// Makes every published epoch final whose time for disputes has passed: it looks at the state and needs no argument.
pub struct Finalise;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// The days that became final, in their order.
    #[schemars(with = "Vec<String>")]
    finalised: Vec<UtcDay>,
}

impl Kind for Finalise {
    const NAME: &'static str = "settlement.finalise";
    const SUMMARY: &'static str =
        "Makes published epochs final that nobody held while they could be disputed.";
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(context: TaskContext, _: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let mut rehearsal = rehearsal(&context.database).await?;
        let finalised = finalise_epochs(&mut rehearsal).await.map_err(refuse)?;
        rehearsal.rollback().await.map_err(TaskError::retry)?;
        Ok(Completion::of(Outputs { finalised }).effect(move |connection| {
            async move { finalise_epochs(connection).await.map(drop).map_err(refuse) }.boxed()
        }))
    }
}
