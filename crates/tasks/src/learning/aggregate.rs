//! `learning.aggregate`: the next model.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tale_learning::{AggregationSettings, Parameters, RoundAggregate};
use tale_primitives::GeneratorId;
use tale_worker::{Caching, Completion, Kind, TaskContext, TaskError};

use crate::{
    Model, Update,
    models::{load, save},
};

/// Averages the accepted updates into the next model.
pub struct Aggregate;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The model that the updates change.
    model: Model,
    /// What the participants sent; nothing for those whose task failed.
    updates: Vec<Option<Update>>,
    /// Whose updates were accepted.
    #[schemars(with = "Vec<String>")]
    accepted: Vec<GeneratorId>,
    /// Whether the eligibility gate let the round pass; otherwise the model stays as it is.
    eligible: bool,
    /// Whether weights and lengths are capped; plain averaging where not.
    robust: bool,
    /// The round, from 1.
    round: u32,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// The new model.
    model: Model,
    /// The updates that went into it, by name.
    updates: Vec<Update>,
}

impl Kind for Aggregate {
    const NAME: &'static str = "learning.aggregate";
    const SUMMARY: &'static str =
        "Averages the accepted updates, weighted by examples with a cap, into the next model.";
    const CACHING: Caching = Caching::ByArguments;
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let mut updates: Vec<Update> = arguments
            .updates
            .into_iter()
            .flatten()
            .filter(|update| arguments.eligible && arguments.accepted.contains(&update.id))
            .collect();
        updates.sort_by(|one, other| one.name.cmp(&other.name));
        let mut model = Model { round: arguments.round, ..arguments.model };
        if updates.is_empty() {
            context.log("no update was accepted: the model stays as it is");
            return Ok(Completion::of(Outputs { model, updates }));
        }
        let spec = model.spec();
        let base = load(&context.store, &spec, &model.object).await?;
        let mut loaded: Vec<(Parameters, u64)> = Vec::with_capacity(updates.len());
        for update in &updates {
            loaded.push((load(&context.store, &spec, &update.object).await?, update.examples));
        }
        let settings = settings(arguments.robust);
        let aggregated = context
            .compute(move |_| {
                let terms: Vec<(&Parameters, u64)> =
                    loaded.iter().map(|(update, examples)| (update, *examples)).collect();
                Ok(RoundAggregate::new(&base, &terms, &settings).model())
            })
            .await?;
        model.object = save(&context.store, &spec, &aggregated).await?;
        Ok(Completion::of(Outputs { model, updates }))
    }
}

/// How a round is averaged: with everyone's reach capped, or plainly.
pub(crate) fn settings(robust: bool) -> AggregationSettings {
    if robust { AggregationSettings::default() } else { AggregationSettings::PLAIN }
}
