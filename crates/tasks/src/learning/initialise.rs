//! `learning.initialise`: the model before the first round.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tale_learning::{ModelFamily, ModelSpec, Parameters};
use tale_primitives::Seed;
use tale_storage::NewArtifact;
use tale_worker::{Caching, Completion, Kind, TaskContext, TaskError};

use crate::{
    Model,
    models::{SAFETENSORS, dataset, save},
    refusal,
};

/// Draws the first parameters from the run's seed.
pub struct Initialise;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The data set whose images the model reads.
    dataset: String,
    /// The architecture: `cnn` or `mlp`.
    #[schemars(with = "String")]
    family: ModelFamily,
    /// The run's seed.
    seed: u64,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// The model of round 0.
    model: Model,
}

impl Kind for Initialise {
    const NAME: &'static str = "learning.initialise";
    const SUMMARY: &'static str = "Makes the first model of a training from the seed.";
    const CACHING: Caching = Caching::ByArguments;
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let manifest = dataset(&context, &arguments.dataset).await?;
        let spec = ModelSpec { family: arguments.family, shape: manifest.shape, classes: manifest.classes };
        let seed = Seed::new(arguments.seed).child("model");
        let parameters = context
            .compute(move |_| {
                spec.check().map_err(refusal::learning)?;
                Parameters::initial(&spec, seed).map_err(refusal::learning)
            })
            .await?;
        let object = save(&context.store, &spec, &parameters).await?;
        context.log(format!("{} parameters", parameters.len()));
        let model = Model { family: spec.family, shape: spec.shape, classes: spec.classes, round: 0, object };
        let artifact = NewArtifact { name: "model-0".to_owned(), media_type: SAFETENSORS.to_owned(), object };
        Ok(Completion::of(Outputs { model }).artifact(artifact))
    }
}
