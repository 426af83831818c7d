//! What flows from task to task: small JSON that refers to objects in the store.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tale_learning::{ModelFamily, ModelSpec};
use tale_primitives::{Digest, GeneratorId};
use tale_storage::{ImageShape, ObjectRef, SplitRef};
use tale_validation::{LossChange, RoundPoints};

/// A generator of the network.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its id.
    #[schemars(with = "String")]
    pub id: GeneratorId,
    /// Its name.
    pub name: String,
    /// The weight of its votes, in millionths.
    pub credibility_ppm: u32,
}

/// How a participant behaves; anything but `honest` exists in simulations alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Behaviour {
    /// Sends what it trained.
    Honest,
    /// Sends its update with the sign flipped and scaled up.
    Poison,
    /// Sends another participant's update with a little noise, after that one has committed it.
    FreeRide {
        /// Whose update it copies.
        victim: String,
        /// The victim's shard, which the simulation trains on in its place.
        shard: SplitRef,
    },
}

/// A participant with its shard.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Participant {
    /// The generator.
    #[schemars(with = "String")]
    pub id: GeneratorId,
    /// Its name.
    pub name: String,
    /// The data that it trains on.
    pub shard: SplitRef,
    /// How it behaves.
    pub behaviour: Behaviour,
}

/// A version of the model.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The architecture: `cnn` or `mlp`.
    #[schemars(with = "String")]
    pub family: ModelFamily,
    /// The images that it reads.
    pub shape: ImageShape,
    /// How many classes it tells apart.
    pub classes: u32,
    /// After how many rounds; 0 is the model before training.
    pub round: u32,
    /// Its parameters, as safetensors.
    pub object: ObjectRef,
}

impl Model {
    /// The architecture.
    pub fn spec(&self) -> ModelSpec {
        ModelSpec { family: self.family, shape: self.shape, classes: self.classes }
    }
}

/// What a participant sent.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// Who sent it.
    #[schemars(with = "String")]
    pub id: GeneratorId,
    /// The sender's name.
    pub name: String,
    /// The difference to the base model, as safetensors.
    pub object: ObjectRef,
    /// The digest of the base model.
    #[schemars(with = "String")]
    pub base: Digest,
    /// How many examples it was trained on.
    pub examples: u64,
    /// Work that the training took: examples times passes over them; nothing in results of older programs.
    #[serde(default)]
    pub work_units: u64,
    /// Its place in the order of commitments.
    pub commitment: u32,
    /// Mean loss of the first step, in nats.
    pub first_loss_nats: f32,
    /// Mean loss of the last step, in nats.
    pub last_loss_nats: f32,
}

/// An update that stays out of the model.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectedUpdate {
    /// Who sent it.
    #[schemars(with = "String")]
    pub id: GeneratorId,
    /// The sender's name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// The decision on a round.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decided {
    /// Whose updates go into the next model, by name.
    #[schemars(with = "Vec<String>")]
    pub accepted: Vec<GeneratorId>,
    /// Whose do not, and why, by name.
    pub rejected: Vec<RejectedUpdate>,
    /// How many votes each validator revealed, by name; nobody's without validation.
    #[serde(default)]
    pub votes: Vec<Votes>,
    /// What the next round remembers of each participant.
    pub memory: serde_json::Value,
}

/// What a validator revealed in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Votes {
    /// The validator.
    #[schemars(with = "String")]
    pub validator: GeneratorId,
    /// How many updates it reported on.
    pub revealed: u32,
}

/// What a round brought.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evaluated {
    /// Mean held-out loss of the base model, in nats.
    pub loss_before_nats: f64,
    /// Mean held-out loss of the new model, in nats.
    pub loss_after_nats: f64,
    /// The share of held-out images that the new model classifies correctly.
    pub heldout_accuracy: f64,
    /// The same losses as exact sums.
    #[schemars(with = "serde_json::Value")]
    pub change: LossChange,
    /// Contribution points of each accepted participant, in nano-nats of held-out loss.
    #[schemars(with = "serde_json::Value")]
    pub points: RoundPoints,
}

/// A round that was published.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishedRound {
    /// The round, from 1.
    pub round: u32,
    /// The new model.
    pub model: Model,
    /// How many updates there were.
    pub participants: u32,
    /// Whose updates went in, by name.
    pub accepted: Vec<String>,
    /// Whose did not, and why.
    pub rejected: Vec<RejectedUpdate>,
    /// Mean held-out loss of the new model, in nats.
    pub heldout_loss: f64,
    /// The share of held-out images that it classifies correctly.
    pub heldout_accuracy: f64,
    /// What the next round remembers of each participant.
    pub memory: serde_json::Value,
}

/// A published round as the final report sees it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoundAccuracy {
    /// The round, from 1; 0 is the model before training.
    pub round: u32,
    /// The share of test images that the model classifies correctly.
    pub test_accuracy: f64,
    /// Mean loss on the test split, in nats.
    pub test_loss: f64,
}
