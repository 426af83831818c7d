//! `settlement.publish`: what everyone may claim, under one root.

use bytes::Bytes;
use futures::FutureExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tale_primitives::{Address, UtcDay};
use tale_storage::{NewArtifact, Store};
use tale_treasury::{
    ClaimsTree, Distributor, TreasuryError, claims_tree, load_manifest, publish_epoch, read_claims_file,
};
use tale_worker::{Completion, Kind, TaskContext, TaskError};

use super::{refuse, rehearsal};
use crate::refusal;

/// Builds the cumulative Merkle tree of all posted epochs and publishes its root; the tree and the epoch's manifest are
/// artifacts. The tree's file is read back, and its root compared, before anything is published.
pub struct Publish;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The day to settle, `YYYY-MM-DD`.
    #[schemars(with = "String")]
    epoch: UtcDay,
    /// The chain on which the claims are paid, by its EIP-155 id, for the manifest.
    chain_id: Option<u64>,
    /// The contract that pays them, for the manifest; nothing, or an empty text, while there is none.
    distributor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// The day.
    #[schemars(with = "String")]
    epoch: UtcDay,
    /// The root; nothing while nobody has ever earned anything.
    root: Option<String>,
    /// How many accounts have a claim.
    leaves: u64,
    /// The digest of the manifest.
    manifest_digest: Option<String>,
    /// Whether this run published it.
    changed: bool,
}

impl Arguments {
    fn distributor(&self) -> Result<Option<Distributor>, TaskError> {
        let address = self.distributor.as_deref().filter(|address| !address.is_empty());
        match (self.chain_id.filter(|chain| *chain > 0), address) {
            (None, None) => Ok(None),
            (Some(chain_id), Some(address)) => {
                let address: Address = address.parse().map_err(TaskError::fail)?;
                Ok(Some(Distributor { chain_id, address }))
            }
            _ => Err(TaskError::fail("chain_id and distributor go together: give both, or neither")),
        }
    }
}

impl Kind for Publish {
    const NAME: &'static str = "settlement.publish";
    const SUMMARY: &'static str = "Publishes the cumulative Merkle root of all claims.";
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let epoch = arguments.epoch;
        let distributor = arguments.distributor()?;
        let mut rehearsal = rehearsal(&context.database).await?;
        let transition = publish_epoch(&mut rehearsal, epoch, distributor).await.map_err(refuse)?;
        let artifacts = artifacts(&mut rehearsal, &context.store, epoch).await?;
        rehearsal.rollback().await.map_err(TaskError::retry)?;
        let outputs = Outputs {
            epoch,
            root: transition.epoch.root.map(|root| root.to_string()),
            leaves: transition.epoch.leaf_count.unwrap_or(0),
            manifest_digest: transition.epoch.manifest_digest.map(|digest| digest.to_string()),
            changed: transition.changed,
        };
        let completion = Completion::of(outputs).effect(move |connection| {
            async move { publish_epoch(connection, epoch, distributor).await.map(drop).map_err(refuse) }
                .boxed()
        });
        Ok(artifacts.into_iter().fold(completion, Completion::artifact))
    }
}

/// The files of an epoch that this transaction has published.
async fn artifacts(
    connection: &mut PgConnection,
    store: &Store,
    epoch: UtcDay,
) -> Result<Vec<NewArtifact>, TaskError> {
    let mut files = Vec::new();
    match claims_tree(connection, epoch).await {
        Ok(tree) => files.push((format!("claims-{epoch}"), claims_file(store, epoch, &tree).await?)),
        Err(TreasuryError::NoClaims(_)) => {}
        Err(error) => return Err(refuse(error)),
    }
    if let Some(manifest) = load_manifest(connection, epoch).await.map_err(refuse)? {
        let object = store.put(Bytes::from(manifest)).await.map_err(refusal::storage)?;
        files.push((format!("manifest-{epoch}"), object));
    }
    let media_type = "application/json".to_owned();
    let artifact = |(name, object)| NewArtifact { name, media_type: media_type.clone(), object };
    Ok(files.into_iter().map(artifact).collect())
}

/// Writes the tree's file and reads it back from the store: what pays people is what was published.
async fn claims_file(
    store: &Store,
    epoch: UtcDay,
    tree: &ClaimsTree,
) -> Result<tale_storage::ObjectRef, TaskError> {
    let dump = serde_json::to_vec(&tree.dump()).map_err(TaskError::fail)?;
    let object = store.put(Bytes::from(dump)).await.map_err(refusal::storage)?;
    let written = store.get(&object).await.map_err(refusal::storage)?;
    read_claims_file(epoch, &tree.root(), &written).map_err(refuse)?;
    Ok(object)
}
