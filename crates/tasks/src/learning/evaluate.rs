//! `learning.evaluate`: what a round brought, and who brought it.

use schemars::JsonSchema;
use serde::Deserialize;
use tale_learning::{Parameters, RoundAggregate, loss_gradient, row_losses};
use tale_primitives::Seed;
use tale_validation::{Fixed, LossChange, PATH, Slope, aumann_shapley};
use tale_worker::{Caching, Completion, Kind, TaskContext, TaskError};

use crate::{
    Evaluated, Model, Update,
    learning::{aggregate, device},
    models::{dataset, draw_rows, load, some_rows},
    refusal,
};

/// Measures the held-out loss before and after, and each accepted participant's Aumann–Shapley share of its fall.
pub struct Evaluate;

/// Held-out images that one evaluation reads at most, so that memory stays bounded.
const ROWS_MAX: usize = 5000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The data set's name.
    dataset: String,
    /// The model before the round.
    base: Model,
    /// The model after it.
    model: Model,
    /// The updates that went into it.
    updates: Vec<Update>,
    /// Whether weights and lengths were capped.
    robust: bool,
    /// The run's seed.
    seed: u64,
    /// `flex` (the portable processor backend) or `cuda:N`.
    device: Option<String>,
}

impl Kind for Evaluate {
    const NAME: &'static str = "learning.evaluate";
    const SUMMARY: &'static str = "Measures a new model on held-out data, and who improved it.";
    const CACHING: Caching = Caching::ByArguments;
    type Arguments = Arguments;
    type Outputs = Evaluated;

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Evaluated>, TaskError> {
        let manifest = dataset(&context, &arguments.dataset).await?;
        let seed = Seed::new(arguments.seed).child("evaluate").child(&arguments.model.round.to_string());
        let rows = draw_rows(&seed, manifest.heldout.rows, 0, 1, ROWS_MAX);
        let batch = some_rows(&context.store, &manifest.heldout, rows).await?;
        let spec = arguments.model.spec();
        let base = load(&context.store, &spec, &arguments.base.object).await?;
        let model = load(&context.store, &spec, &arguments.model.object).await?;
        let mut updates: Vec<(Update, Parameters)> = Vec::with_capacity(arguments.updates.len());
        for update in arguments.updates {
            let parameters = load(&context.store, &spec, &update.object).await?;
            updates.push((update, parameters));
        }
        let device = device(arguments.device.as_deref())?;
        let robust = arguments.robust;
        let evaluated = context
            .compute(move |cancellation| {
                let losses = |parameters: &Parameters| -> Result<(Vec<Fixed>, f64), TaskError> {
                    let rows = row_losses(&spec, parameters, &batch, device).map_err(refusal::learning)?;
                    let correct = rows.iter().filter(|row| row.correct).count();
                    let fixed = rows.iter().map(|row| Fixed::round(row.loss_nats.into())).collect();
                    Ok((fixed, correct as f64 / rows.len().max(1) as f64))
                };
                let (before, _) = losses(&base)?;
                let (after, heldout_accuracy) = losses(&model)?;
                let change = LossChange::measure(&before, &after).map_err(TaskError::fail)?;
                let terms: Vec<(&Parameters, u64)> =
                    updates.iter().map(|(update, parameters)| (parameters, update.examples)).collect();
                let path = RoundAggregate::new(&base, &terms, &aggregate::settings(robust));
                let mut gradients = Vec::with_capacity(PATH.len());
                for node in PATH.iter().filter(|_| !updates.is_empty()) {
                    if cancellation.is_cancelled() {
                        return Err(TaskError::Stopped);
                    }
                    let at = path.model_along(node.share);
                    gradients.push(loss_gradient(&spec, &at, &batch, device).map_err(refusal::learning)?.1);
                }
                let slopes: Vec<Slope> = updates
                    .iter()
                    .zip(path.effective_weights())
                    .map(|((update, parameters), weight)| Slope {
                        generator: update.id,
                        weight,
                        dots: std::array::from_fn(|node| gradients[node].dot(parameters)),
                    })
                    .collect();
                let points = aumann_shapley(&slopes, &change);
                Ok(Evaluated {
                    loss_before_nats: change.before_nats(),
                    loss_after_nats: change.after_nats(),
                    heldout_accuracy,
                    change,
                    points,
                })
            })
            .await?;
        context.log(format!(
            "held-out loss {:.4} → {:.4}, accuracy {:.3}",
            evaluated.loss_before_nats, evaluated.loss_after_nats, evaluated.heldout_accuracy
        ));
        Ok(Completion::of(evaluated))
    }
}
