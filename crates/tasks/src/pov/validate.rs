//! `pov.validate`: one validator scores every update of a round.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tale_learning::{ModelSpec, Parameters, RoundAggregate, row_losses};
use tale_primitives::{Digest, Seed};
use tale_storage::ImageBatch;
use tale_validation::{
    Assessment, Candidate, Finding, Fixed, GateRules, MarginalScore, UpdateContent, ValidatorReport, gate,
    weight_ppb,
};
use tale_worker::{Caching, Cancellation, Completion, Kind, TaskContext, TaskError};

use crate::{
    Member, Model, Update,
    learning::device,
    models::{dataset, draw_rows, load, some_rows},
    refusal,
};

/// Puts every update through the gates, then measures what the aggregate loses without it.
///
/// All updates of a round are one task of each validator, because the aggregate of everyone is evaluated once for all.
pub struct Validate;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Who validates.
    validator: Member,
    /// Its place on the panel.
    index: usize,
    /// How many validators there are.
    validators: usize,
    /// The data set whose held-out split is drawn from.
    dataset: String,
    /// How many held-out rows each validator scores on.
    #[schemars(range(min = 1, max = 100_000))]
    rows: usize,
    /// The model that the updates change.
    model: Model,
    /// What the participants sent; nothing for those whose task failed.
    updates: Vec<Option<Update>>,
    /// The round, from 1.
    round: u32,
    /// The run's seed.
    seed: u64,
    /// `flex` (the portable processor backend) or `cuda:N`.
    device: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// The report.
    #[schemars(with = "serde_json::Value")]
    report: ValidatorReport,
}

impl Kind for Validate {
    const NAME: &'static str = "pov.validate";
    const SUMMARY: &'static str = "Scores every update of a round on one validator's held-out rows.";
    const CACHING: Caching = Caching::ByArguments;
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let manifest = dataset(&context, &arguments.dataset).await?;
        let seed = Seed::new(arguments.seed).child("held-out rows").child(&arguments.round.to_string());
        let rows =
            draw_rows(&seed, manifest.heldout.rows, arguments.index, arguments.validators, arguments.rows);
        let drawn: Vec<u8> = rows.iter().flat_map(|row| row.to_le_bytes()).collect();
        let batch = some_rows(&context.store, &manifest.heldout, rows).await?;
        let spec = arguments.model.spec();
        let base = load(&context.store, &spec, &arguments.model.object).await?;
        let mut updates: Vec<Update> = arguments.updates.into_iter().flatten().collect();
        updates.sort_by(|one, other| one.name.cmp(&other.name));
        let mut round = Round {
            spec,
            base,
            base_digest: arguments.model.object.digest,
            updates: Vec::with_capacity(updates.len()),
        };
        for update in updates {
            let bytes = context.store.get(&update.object).await.map_err(refusal::storage)?;
            round.updates.push((update, Parameters::from_safetensors(&spec, &bytes).ok()));
        }
        let device = device(arguments.device.as_deref())?;
        let name = arguments.validator.name;
        let report = ValidatorReport {
            validator: arguments.validator.id,
            base: round.base_digest,
            rows: Digest::of(drawn),
            findings: context.compute(move |cancellation| round.assess(&batch, device, cancellation)).await?,
        };
        context.log(format!("{name}: {} updates assessed", report.findings.len()));
        Ok(Completion::of(Outputs { report }))
    }
}

/// The updates of a round, by name; nothing where the bytes are no update of the model.
struct Round {
    spec: ModelSpec,
    base: Parameters,
    base_digest: Digest,
    updates: Vec<(Update, Option<Parameters>)>,
}

impl Round {
    fn assess(
        &self,
        batch: &ImageBatch,
        device: tale_learning::ComputeDevice,
        cancellation: &Cancellation,
    ) -> Result<Vec<Finding>, TaskError> {
        let gates = self.gates();
        let scored: Vec<(usize, &Parameters)> = self
            .updates
            .iter()
            .enumerate()
            .filter(|(place, _)| gates[*place].is_none())
            .filter_map(|(place, (_, parameters))| Some((place, parameters.as_ref()?)))
            .collect();
        let terms: Vec<(&Parameters, u64)> =
            scored.iter().map(|&(place, parameters)| (parameters, self.updates[place].0.examples)).collect();
        let aggregate = RoundAggregate::new(&self.base, &terms, &Default::default());
        let losses = |parameters: &Parameters| -> Result<Vec<Fixed>, TaskError> {
            if cancellation.is_cancelled() {
                return Err(TaskError::Stopped);
            }
            let rows = row_losses(&self.spec, parameters, batch, device).map_err(refusal::learning)?;
            Ok(rows.iter().map(|row| Fixed::round(row.loss_nats.into())).collect())
        };
        let with_everyone = losses(&aggregate.model())?;
        let weights = aggregate.effective_weights();
        let mut findings: Vec<Finding> = Vec::with_capacity(self.updates.len());
        for (place, failure) in gates.into_iter().enumerate() {
            if let Some(failure) = failure {
                findings.push(self.finding(place, Assessment::Gated { failure }));
            }
        }
        for (term, &(place, _)) in scored.iter().enumerate() {
            let without = losses(&aggregate.model_without(term))?;
            let score =
                MarginalScore::measure(&batch.labels, &without, &with_everyone).map_err(TaskError::fail)?;
            let weight_ppb = weight_ppb(weights[term]);
            findings.push(self.finding(place, Assessment::Scored { weight_ppb, score }));
        }
        Ok(findings)
    }

    fn gates(&self) -> Vec<Option<tale_validation::GateFailure>> {
        let candidates: Vec<Candidate> = self
            .updates
            .iter()
            .map(|(update, parameters)| Candidate {
                generator: update.id,
                commitment: update.commitment,
                base: update.base,
                content: match parameters {
                    None => UpdateContent::Unreadable,
                    Some(parameters) if !parameters.is_finite() => UpdateContent::NotFinite,
                    Some(parameters) => UpdateContent::Finite { norm: parameters.norm() },
                },
            })
            .collect();
        gate(&GateRules::default(), self.base_digest, &candidates, |one, other| {
            match (&self.updates[one].1, &self.updates[other].1) {
                (Some(one), Some(other)) => one.cosine(other),
                _ => 0.0,
            }
        })
    }

    fn finding(&self, place: usize, assessment: Assessment) -> Finding {
        let update = &self.updates[place].0;
        Finding { generator: update.id, update: update.object.digest, assessment }
    }
}
