//! `settlement.compute`: the pool is divided.

use bytes::Bytes;
use futures::FutureExt;
use schemars::JsonSchema;
use serde::Serialize;
use tale_primitives::{Amount, Digest, UtcDay};
use tale_storage::NewArtifact;
use tale_treasury::{EpochState, Ruleset, compute, load_inputs, record_result};
use tale_worker::{Completion, Kind, TaskContext, TaskError};

use super::{Arguments, is_before, refuse};
use crate::refusal;

/// Computes the result from the sealed inputs and the ruleset: a pure function.
pub struct Compute;

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// The day.
    #[schemars(with = "String")]
    epoch: UtcDay,
    /// What the day emits, in base units.
    #[schemars(with = "String")]
    pool: Amount,
    /// What owners earned of it, before they repay.
    #[schemars(with = "String")]
    paid: Amount,
    /// What of that repays over-payments.
    #[schemars(with = "String")]
    repaid: Amount,
    /// What nobody earned, or may receive.
    #[schemars(with = "String")]
    carried: Amount,
    /// How many owners earned something.
    accounts: usize,
    /// The digest of the result.
    #[schemars(with = "String")]
    result_digest: Digest,
    /// Whether this run recorded it.
    changed: bool,
}

impl Kind for Compute {
    const NAME: &'static str = "settlement.compute";
    const SUMMARY: &'static str = "Divides the day's pool by contribution points, to the base unit.";
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let changed = is_before(&context.database, arguments.epoch, EpochState::Computed).await?;
        let mut connection = context.database.acquire().await.map_err(TaskError::retry)?;
        let inputs = load_inputs(&mut connection, arguments.epoch)
            .await
            .map_err(refuse)?
            .ok_or_else(|| TaskError::fail(format!("epoch {} is not sealed", arguments.epoch)))?;
        let ruleset = Ruleset::load(inputs.ruleset()).map_err(refuse)?;
        let result = compute(&inputs, &ruleset).map_err(refuse)?;
        // its connection is one that the acknowledgement may need
        drop(connection);
        let bytes = result.to_json().map_err(refuse)?;
        let object = context.store.put(Bytes::from(bytes)).await.map_err(refusal::storage)?;
        let artifact = NewArtifact {
            name: format!("rewards-{}", arguments.epoch),
            media_type: "application/json".to_owned(),
            object,
        };
        let outputs = Outputs {
            epoch: arguments.epoch,
            pool: result.pool,
            paid: result.paid,
            repaid: result.repaid,
            carried: result.carried,
            accounts: result.paid_accounts(),
            result_digest: result.digest().map_err(refuse)?,
            changed,
        };
        Ok(Completion::of(outputs).artifact(artifact).effect(move |connection| {
            let result = result.clone();
            async move { record_result(connection, &result).await.map(drop).map_err(refuse) }.boxed()
        }))
    }
}
