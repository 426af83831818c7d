//! `settlement.publish`: what everyone may claim, under one root.

use bytes::Bytes;
use futures::FutureExt;
use schemars::JsonSchema;
use serde::Serialize;
use tale_primitives::UtcDay;
use tale_storage::NewArtifact;
use tale_treasury::{TreasuryError, claims_tree, publish_epoch};
use tale_worker::{Completion, Kind, TaskContext, TaskError};

use super::{Arguments, refuse, rehearsal};
use crate::refusal;

/// Builds the cumulative Merkle tree of all posted epochs and publishes its root; the tree is an artifact.
pub struct Publish;

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// The day.
    #[schemars(with = "String")]
    epoch: UtcDay,
    /// The root; nothing while nobody has ever earned anything.
    root: Option<String>,
    /// How many accounts have a claim.
    leaves: u64,
    /// Whether this run published it.
    changed: bool,
}

impl Kind for Publish {
    const NAME: &'static str = "settlement.publish";
    const SUMMARY: &'static str = "Publishes the cumulative Merkle root of all claims.";
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let epoch = arguments.epoch;
        let mut rehearsal = rehearsal(&context.database).await?;
        let transition = publish_epoch(&mut rehearsal, epoch).await.map_err(refuse)?;
        let tree = match claims_tree(&mut rehearsal, epoch).await {
            Ok(tree) => Some(tree),
            Err(TreasuryError::NoClaims { .. }) => None,
            Err(error) => return Err(refuse(error)),
        };
        rehearsal.rollback().await.map_err(TaskError::retry)?;
        let outputs = Outputs {
            epoch,
            root: transition.epoch.root.map(|root| root.to_string()),
            leaves: transition.epoch.leaf_count.unwrap_or(0),
            changed: transition.changed,
        };
        let mut completion = Completion::of(outputs).effect(move |connection| {
            async move { publish_epoch(connection, epoch).await.map(drop).map_err(refuse) }.boxed()
        });
        if let Some(tree) = tree {
            let dump = serde_json::to_vec(&tree.dump()).map_err(TaskError::fail)?;
            let object = context.store.put(Bytes::from(dump)).await.map_err(refusal::storage)?;
            completion = completion.artifact(NewArtifact {
                name: format!("claims-{epoch}"),
                media_type: "application/json".to_owned(),
                object,
            });
        }
        Ok(completion)
    }
}
