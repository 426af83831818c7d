//! `learning.report`: the only reader of the test split.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tale_learning::{Parameters, row_losses};
use tale_worker::{Caching, Completion, Kind, TaskContext, TaskError};

use crate::{
    Model, RoundAccuracy,
    learning::device,
    models::{dataset, load, some_rows},
    refusal,
};

/// Measures every published model on the test split, once training is over.
pub struct Report;

/// Test images that are in memory at a time.
const CHUNK: u32 = 5000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The data set's name.
    dataset: String,
    /// The models, by round.
    models: Vec<Model>,
    /// `flex` (the portable processor backend) or `cuda:N`.
    device: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// How well each model does, by round.
    rounds: Vec<RoundAccuracy>,
}

impl Kind for Report {
    const NAME: &'static str = "learning.report";
    const SUMMARY: &'static str = "Measures models on the test split, which nothing else reads.";
    const CACHING: Caching = Caching::ByArguments;
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let manifest = dataset(&context, &arguments.dataset).await?;
        let device = device(arguments.device.as_deref())?;
        let total = u32::try_from(manifest.test.rows).unwrap_or(u32::MAX);
        let mut rounds = Vec::with_capacity(arguments.models.len());
        for model in arguments.models {
            let spec = model.spec();
            let parameters = load(&context.store, &spec, &model.object).await?;
            let (mut correct, mut loss) = (0_usize, 0.0_f64);
            for first in (0..total).step_by(CHUNK as usize) {
                let chosen = (first..total.min(first.saturating_add(CHUNK))).collect();
                let batch = some_rows(&context.store, &manifest.test, chosen).await?;
                let measured: Parameters = parameters.clone();
                let rows = context
                    .compute(move |_| row_losses(&spec, &measured, &batch, device).map_err(refusal::learning))
                    .await?;
                correct += rows.iter().filter(|row| row.correct).count();
                loss += rows.iter().map(|row| f64::from(row.loss_nats)).sum::<f64>();
            }
            let rows = f64::from(total.max(1));
            let measured = RoundAccuracy {
                round: model.round,
                test_accuracy: correct as f64 / rows,
                test_loss: loss / rows,
            };
            context.log(format!("round {}: test accuracy {:.4}", model.round, measured.test_accuracy));
            rounds.push(measured);
        }
        Ok(Completion::of(Outputs { rounds }))
    }
}
