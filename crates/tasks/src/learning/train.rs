//! `learning.train`: one participant's part of a round.

use schemars::JsonSchema;
use serde::Deserialize;
use tale_learning::{Parameters, TrainSettings, attack, train};
use tale_primitives::Seed;
use tale_storage::{NewArtifact, SplitRef};
use tale_worker::{Caching, Completion, Kind, TaskContext, TaskError};

use crate::{
    Behaviour, Model, Participant, Update,
    learning::device,
    models::{SAFETENSORS, all_rows, load, save},
    refusal,
};

/// Trains on the participant's shard and sends the difference.
pub struct Train;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Whose part it is.
    participant: Participant,
    /// Its place among the round's participants, which orders the commitments.
    index: u32,
    /// The model to start from.
    model: Model,
    /// The round, from 1.
    round: u32,
    /// The run's seed.
    seed: u64,
    /// Passes over the shard.
    epochs: Option<u32>,
    /// Images in a step.
    batch_size: Option<u32>,
    /// Learning rate of the stochastic gradient descent.
    learning_rate: Option<f64>,
    /// `flex` (the portable processor backend) or `cuda:N`.
    device: Option<String>,
}

impl Kind for Train {
    const NAME: &'static str = "learning.train";
    const SUMMARY: &'static str = "Trains a model on one participant's shard and returns the update.";
    const CACHING: Caching = Caching::ByArguments;
    type Arguments = Arguments;
    type Outputs = Update;

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Update>, TaskError> {
        let participant = &arguments.participant;
        let round = Seed::new(arguments.seed).child("round").child(&arguments.round.to_string());
        let trained = match &participant.behaviour {
            Behaviour::Honest | Behaviour::Poison => {
                run_training(&context, &arguments, &participant.name, &participant.shard, &round).await?
            }
            // the simulation makes the victim's update again, so that the copy waits for nobody
            Behaviour::FreeRide { victim, shard } => {
                run_training(&context, &arguments, victim, shard, &round).await?
            }
        };
        let sent = match &participant.behaviour {
            Behaviour::Honest => trained.update,
            Behaviour::Poison => attack::poison(&trained.update),
            Behaviour::FreeRide { .. } => attack::free_ride(&trained.update, round.child("free ride")),
        };
        // who copies can do so only once the victim has committed
        let commitment = match participant.behaviour {
            Behaviour::FreeRide { .. } => arguments.index + 1_000_000,
            Behaviour::Honest | Behaviour::Poison => arguments.index,
        };
        let object = save(&context.store, &arguments.model.spec(), &sent).await?;
        context.log(format!(
            "{}: {} examples, loss {:.4} → {:.4}",
            participant.name, trained.examples, trained.first_loss_nats, trained.last_loss_nats
        ));
        let update = Update {
            id: participant.id,
            name: participant.name.clone(),
            object,
            base: arguments.model.object.digest,
            examples: participant.shard.rows,
            work_units: participant.shard.rows.saturating_mul(trained.passes.into()),
            commitment,
            first_loss_nats: trained.first_loss_nats,
            last_loss_nats: trained.last_loss_nats,
        };
        let artifact = NewArtifact {
            name: format!("update-{}-{}", arguments.round, participant.name),
            media_type: SAFETENSORS.to_owned(),
            object,
        };
        Ok(Completion::of(update).artifact(artifact))
    }
}

struct Trained {
    update: Parameters,
    examples: u64,
    passes: u32,
    first_loss_nats: f32,
    last_loss_nats: f32,
}

async fn run_training(
    context: &TaskContext,
    arguments: &Arguments,
    name: &str,
    shard: &SplitRef,
    round: &Seed,
) -> Result<Trained, TaskError> {
    let spec = arguments.model.spec();
    let base = load(&context.store, &spec, &arguments.model.object).await?;
    let batch = all_rows(&context.store, shard).await?;
    let usual = TrainSettings::default();
    let settings = TrainSettings {
        epochs: arguments.epochs.unwrap_or(usual.epochs),
        batch_size: arguments.batch_size.unwrap_or(usual.batch_size),
        learning_rate: arguments.learning_rate.map_or(usual.learning_rate, |rate| rate as f32),
        ..usual
    };
    let device = device(arguments.device.as_deref())?;
    let seed = round.child("train").child(name);
    context
        .compute(move |cancellation| {
            let outcome =
                train(&spec, &base, &batch, &settings, seed, device, &|_| !cancellation.is_cancelled())
                    .map_err(refusal::learning)?;
            Ok(Trained {
                update: outcome.update,
                examples: outcome.examples,
                passes: settings.epochs,
                first_loss_nats: outcome.first_loss_nats,
                last_loss_nats: outcome.last_loss_nats,
            })
        })
        .await
}
