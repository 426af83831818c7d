//! `monetization.dividends`: a day's revenue becomes dividends.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tale_monetization::{
    AssetTotal, CURRENT_RULESET, DividendRules, GatheredRevenue, RevenueFile, gather_revenue, post_dividends,
};
use tale_primitives::{Digest, UtcDay};
use tale_storage::NewArtifact;
use tale_worker::{Completion, Kind, TaskContext, TaskError};

use super::refuse;
use crate::refusal;

/// Seals the event logs, divides the revenue and posts one journal for each asset: running it again changes nothing.
pub struct Dividends;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The day to divide, `YYYY-MM-DD`; it must be over.
    #[schemars(with = "String")]
    epoch: UtcDay,
    /// Where the event logs are in the object store: a Parquet file's key, or a prefix that ends in `/`.
    #[serde(default = "usual_logs")]
    #[schemars(length(min = 1, max = 500))]
    logs: String,
}

fn usual_logs() -> String {
    "revenue/".to_owned()
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// The day.
    #[schemars(with = "String")]
    epoch: UtcDay,
    /// How many events it counts.
    events: usize,
    /// How many files they come from.
    files: usize,
    /// Rows that repeat an event that was counted.
    repeated: u64,
    /// What was paid and who has it, for each asset.
    #[schemars(with = "Vec<std::collections::BTreeMap<String, String>>")]
    totals: Vec<AssetTotal>,
    /// The digest of the sealed inputs.
    #[schemars(with = "String")]
    inputs_digest: Digest,
    /// The digest of the result.
    #[schemars(with = "String")]
    result_digest: Digest,
    /// Whether this run posted it.
    changed: bool,
}

/// What an epoch was divided from, and what came of it.
#[derive(Serialize)]
struct Manifest<'a> {
    epoch: UtcDay,
    ruleset: u32,
    files: &'a [RevenueFile],
    inputs_digest: Digest,
    result_digest: Digest,
}

impl Kind for Dividends {
    const NAME: &'static str = "monetization.dividends";
    const SUMMARY: &'static str =
        "Divides a day's revenue among the holders of its works, and posts it to the ledger.";
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let Arguments { epoch, logs } = arguments;
        let rules = DividendRules::load(CURRENT_RULESET).map_err(refuse)?;
        // A rehearsal: what it changes is rolled back, and the acknowledgement does it again as its effect.
        let mut rehearsal = context.database.begin().await.map_err(TaskError::retry)?;
        let gathered =
            gather_revenue(&mut rehearsal, &context.store, epoch, &logs, &rules).await.map_err(refuse)?;
        let posting = post_dividends(&mut rehearsal, &gathered).await.map_err(refuse)?;
        rehearsal.rollback().await.map_err(TaskError::retry)?;

        let GatheredRevenue { inputs, files, repeated, waiting } = &gathered;
        let events = inputs.events().len();
        context.log(format!(
            "{epoch}: {events} events of {} files, {repeated} repeated, {waiting} of later days",
            files.len()
        ));
        let manifest = Manifest {
            epoch,
            ruleset: posting.result.ruleset,
            files,
            inputs_digest: posting.epoch.inputs_digest,
            result_digest: posting.epoch.result_digest,
        };
        let documents = [
            ("revenue-manifest", serde_json::to_vec(&manifest).map_err(TaskError::fail)?),
            ("dividends", serde_json::to_vec(&posting.result).map_err(TaskError::fail)?),
        ];
        let outputs = Outputs {
            epoch,
            events,
            files: files.len(),
            repeated: *repeated,
            totals: posting.result.totals,
            inputs_digest: posting.epoch.inputs_digest,
            result_digest: posting.epoch.result_digest,
            changed: posting.changed,
        };
        let shared = Arc::new(gathered);
        let mut completion = Completion::of(outputs).effect(move |connection| {
            let gathered = Arc::clone(&shared);
            async move { post_dividends(connection, &gathered).await.map(drop).map_err(refuse) }.boxed()
        });
        for (name, document) in documents {
            let object = context.store.put(Bytes::from(document)).await.map_err(refusal::storage)?;
            let (name, media_type) = (format!("{name}-{epoch}"), "application/json".to_owned());
            completion = completion.artifact(NewArtifact { name, media_type, object });
        }
        Ok(completion)
    }
}
