//! `settlement.seal`: what an epoch's result will follow from.

use futures::FutureExt;
use schemars::JsonSchema;
use serde::Serialize;
use tale_primitives::{Digest, UtcDay};
use tale_treasury::{Ruleset, gather_inputs, seal_epoch};
use tale_worker::{Completion, Kind, TaskContext, TaskError};

use super::{Arguments, refuse, rehearsal};

/// Gathers the contributions that no epoch has settled and seals them.
pub struct Seal;

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// The day.
    #[schemars(with = "String")]
    epoch: UtcDay,
    /// The digest of the sealed inputs.
    #[schemars(with = "String")]
    inputs_digest: Digest,
    /// How many lines of contributions there are, by class, generator and origin.
    contributions: usize,
    /// How many of them come late, from an earlier day.
    late: usize,
    /// How many over-payments are to be repaid.
    receivables: usize,
    /// Whether this run sealed it.
    changed: bool,
}

impl Kind for Seal {
    const NAME: &'static str = "settlement.seal";
    const SUMMARY: &'static str = "Seals the inputs of a settlement epoch.";
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let mut rehearsal = rehearsal(&context.database).await?;
        let inputs =
            gather_inputs(&mut rehearsal, arguments.epoch, Ruleset::CURRENT_VERSION).await.map_err(refuse)?;
        let transition = seal_epoch(&mut rehearsal, &inputs).await.map_err(refuse)?;
        rehearsal.rollback().await.map_err(TaskError::retry)?;
        let outputs = Outputs {
            epoch: arguments.epoch,
            inputs_digest: inputs.digest().map_err(refuse)?,
            contributions: inputs.contributions().len(),
            late: inputs.corrections().count(),
            receivables: inputs.receivables().len(),
            changed: transition.changed,
        };
        context.log(format!(
            "epoch {}: {} contributions, {} of them late; {} over-payments to repay",
            outputs.epoch, outputs.contributions, outputs.late, outputs.receivables
        ));
        Ok(Completion::of(outputs).effect(move |connection| {
            let inputs = inputs.clone();
            async move { seal_epoch(connection, &inputs).await.map(drop).map_err(refuse) }.boxed()
        }))
    }
}
