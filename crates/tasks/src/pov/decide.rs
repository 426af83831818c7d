//! `pov.decide`: reports become verdicts.

use futures::FutureExt;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tale_validation::{
    DecisionInputs, DecisionRules, Memory, Outcome, Panelist, RoundEvidence, ValidationError,
    ValidatorReport, record_round,
};
use tale_worker::{Completion, Kind, TaskContext, TaskError};

use crate::{Decided, Member, Model, RejectedUpdate, Update, Votes};

/// Decides by the validators' credibility-weighted votes and records the evidence; or accepts everything, unvalidated.
pub struct Decide;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The training that the round belongs to.
    lineage: String,
    /// The round, from 1.
    round: u32,
    /// The model that the updates change.
    model: Model,
    /// What the participants sent; nothing for those whose task failed.
    updates: Vec<Option<Update>>,
    /// Who could vote.
    panel: Vec<Member>,
    /// What the validators found; nothing without Proof of Validation, when every update is accepted.
    reports: Option<Vec<Option<Reported>>>,
    /// What earlier rounds left; nothing before the first.
    memory: Option<Value>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Reported {
    #[schemars(with = "Value")]
    report: ValidatorReport,
}

impl Kind for Decide {
    const NAME: &'static str = "pov.decide";
    const SUMMARY: &'static str = "Turns the validators' reports into verdicts and keeps the evidence.";
    type Arguments = Arguments;
    type Outputs = Decided;

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Decided>, TaskError> {
        let mut updates: Vec<Update> = arguments.updates.into_iter().flatten().collect();
        updates.sort_by(|one, other| one.name.cmp(&other.name));
        let Some(reports) = arguments.reports else {
            context.log("no validation: every update is accepted");
            let accepted = updates.iter().map(|update| update.id).collect();
            return Ok(Completion::of(Decided {
                accepted,
                rejected: vec![],
                votes: vec![],
                memory: arguments.memory.unwrap_or_else(|| json!({})),
            }));
        };
        let memory: Memory = match arguments.memory {
            None | Some(Value::Null) => Memory::default(),
            Some(memory) => serde_json::from_value(memory).map_err(TaskError::fail)?,
        };
        let panel = arguments
            .panel
            .iter()
            .map(|member| Panelist { validator: member.id, credibility_ppm: member.credibility_ppm })
            .collect();
        let inputs = DecisionInputs {
            rules: DecisionRules::default(),
            panel,
            reports: reports.into_iter().flatten().map(|reported| reported.report).collect(),
            memory,
        };
        let base = arguments.model.object.digest;
        let evidence = RoundEvidence::decide(arguments.lineage, arguments.round, base, inputs)
            .map_err(TaskError::fail)?;
        let decided = Decided { votes: votes(&evidence), ..summarise(&evidence, &updates, &context)? };
        Ok(Completion::of(decided).effect(move |connection| {
            let evidence = evidence.clone();
            async move {
                record_round(connection, &evidence).await.map_err(|error| match error {
                    ValidationError::Database(_) => TaskError::retry(error),
                    _ => TaskError::fail(error),
                })
            }
            .boxed()
        }))
    }
}

/// A validator is paid for what it revealed, whatever it found; a task that failed revealed nothing.
fn votes(evidence: &RoundEvidence) -> Vec<Votes> {
    let reports = &evidence.inputs.reports;
    reports
        .iter()
        .map(|report| Votes { validator: report.validator, revealed: report.findings.len() as u32 })
        .collect()
}

fn summarise(
    evidence: &RoundEvidence,
    updates: &[Update],
    context: &TaskContext,
) -> Result<Decided, TaskError> {
    let verdict_of = |update: &Update| {
        evidence
            .decision
            .verdicts
            .iter()
            .find(|verdict| verdict.generator == update.id)
            .map(|verdict| &verdict.outcome)
    };
    let mut decided = Decided {
        accepted: vec![],
        rejected: vec![],
        votes: vec![],
        memory: serde_json::to_value(&evidence.decision.memory).map_err(TaskError::fail)?,
    };
    for update in updates {
        match verdict_of(update) {
            Some(Outcome::Accepted) => decided.accepted.push(update.id),
            Some(outcome) => {
                // people know generators by name
                let reason = updates.iter().fold(outcome.reason().unwrap_or_default(), |reason, other| {
                    reason.replace(&other.id.to_string(), &other.name)
                });
                context.log(format!("{}: {}: {reason}", update.name, outcome.name()));
                decided.rejected.push(RejectedUpdate { id: update.id, name: update.name.clone(), reason });
            }
            None => decided.rejected.push(RejectedUpdate {
                id: update.id,
                name: update.name.clone(),
                reason: "no validator reported on it".to_owned(),
            }),
        }
    }
    Ok(decided)
}
