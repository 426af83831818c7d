//! `learning.publish`: a round becomes a model version and contributions.

use futures::FutureExt;
use schemars::JsonSchema;
use serde::Deserialize;
use tale_primitives::{GeneratorId, UtcDay};
use tale_storage::NewArtifact;
use tale_treasury::{Class, NewContributions};
use tale_validation::{RoundOutcome, ValidationError};
use tale_worker::{Completion, Kind, TaskContext, TaskError};

use crate::{Decided, Evaluated, Model, PublishedRound, Update, models::SAFETENSORS, refusal};

/// Publishes the model as an artifact and records who contributed what.
pub struct Publish;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The training that the round belongs to.
    lineage: String,
    /// The round, from 1.
    round: u32,
    /// The day in whose settlement the round counts, `YYYY-MM-DD`.
    #[schemars(with = "String")]
    epoch: UtcDay,
    /// The new model.
    model: Model,
    /// What the participants sent; nothing for those whose task failed.
    updates: Vec<Option<Update>>,
    /// The decision on them.
    decision: Decided,
    /// What the round brought.
    evaluation: Evaluated,
}

impl Kind for Publish {
    const NAME: &'static str = "learning.publish";
    const SUMMARY: &'static str = "Publishes a round's model and records the contributions to it.";
    type Arguments = Arguments;
    type Outputs = PublishedRound;

    async fn run(_: TaskContext, arguments: Arguments) -> Result<Completion<PublishedRound>, TaskError> {
        let Arguments { lineage, round, epoch, model, updates, decision, evaluation } = arguments;
        let updates: Vec<Update> = updates.into_iter().flatten().collect();
        let name_of = |id: &GeneratorId| {
            updates
                .iter()
                .find(|update| update.id == *id)
                .map_or_else(|| id.to_string(), |update| update.name.clone())
        };
        let artifact = NewArtifact {
            name: format!("model-{round}"),
            media_type: SAFETENSORS.to_owned(),
            object: model.object,
        };
        let outcome = RoundOutcome {
            lineage: lineage.clone(),
            round,
            epoch,
            result: model.object.digest,
            change: evaluation.change,
            points: evaluation.points.clone(),
        };
        let contributions = contributions(&outcome, &updates, &decision);
        let published = PublishedRound {
            round,
            participants: updates.len() as u32,
            accepted: decision.accepted.iter().map(name_of).collect(),
            rejected: decision.rejected,
            heldout_loss: evaluation.loss_after_nats,
            heldout_accuracy: evaluation.heldout_accuracy,
            memory: decision.memory,
            model,
        };
        Ok(Completion::of(published).artifact(artifact).effect(move |connection| {
            let (outcome, contributions) = (outcome.clone(), contributions.clone());
            async move {
                tale_validation::record_contributions(connection, &outcome).await.map_err(
                    |error| match error {
                        ValidationError::Database(_) => TaskError::retry(error),
                        _ => TaskError::fail(error),
                    },
                )?;
                for batch in &contributions {
                    tale_treasury::record_contributions(connection, batch)
                        .await
                        .map_err(refusal::treasury)?;
                }
                Ok(())
            }
            .boxed()
        }))
    }
}

/// What the round earned in each class: points of the updates that went in, the work behind them, and the votes that
/// were revealed. Work whose update stayed out is not paid for, or copying and poisoning would be.
fn contributions(outcome: &RoundOutcome, updates: &[Update], decision: &Decided) -> [NewContributions; 3] {
    let RoundOutcome { lineage, round, epoch, points, .. } = outcome;
    let batch = |class, source, points| NewContributions { source, day: *epoch, class, points };
    let whole = |units: u64| i64::try_from(units).unwrap_or(i64::MAX);
    let accepted = updates.iter().filter(|update| decision.accepted.contains(&update.id));
    let training = points.contributions.iter().map(|one| (one.generator, one.points)).collect();
    let compute = accepted.map(|update| (update.id, whole(update.work_units))).collect();
    let votes = decision.votes.iter().map(|one| (one.validator, i64::from(one.revealed))).collect();
    [
        batch(Class::Training, format!("{lineage}/{round}"), training),
        batch(Class::Compute, format!("{lineage}/{round}/compute"), compute),
        batch(Class::Validation, format!("{lineage}/{round}/validation"), votes),
    ]
}
