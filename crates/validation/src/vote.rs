//! From one validator's scores to its votes.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use tale_primitives::GeneratorId;

use crate::{
    Assessment, DecisionRules, Finding, Fixed, GateFailure, MarginalScore, Memory, robust::robust_z,
};

/// The numbers behind a vote on a scored update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    /// Mean marginal gain over its standard error.
    pub z: Fixed,
    /// Marginal gain per unit of weight, against the round's other updates.
    pub relative: Fixed,
    /// The relative gain averaged over this and earlier rounds.
    pub memory: Fixed,
    /// The lowest relative gain over the classes.
    pub worst_class: Fixed,
}

/// Why a validator votes against an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Objection {
    /// It was stopped at a gate.
    Gate(GateFailure),
    /// The aggregate is worse with it than without it, now and over the rounds, beyond noise.
    Harmful(Measure),
    /// It ruins one class, whatever it does for the others.
    RuinsClass(Measure),
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gate(failure) => failure.fmt(f),
            Self::Harmful(measure) => write!(
                f,
                "makes the aggregate worse on held-out rows (z {:.1}; {:.1} spreads below the others, {:.1} over rounds)",
                measure.z,
                -measure.relative.to_f64(),
                -measure.memory.to_f64()
            ),
            Self::RuinsClass(measure) => {
                write!(f, "ruins a class ({:.1} spreads below the others)", -measure.worst_class.to_f64())
            }
        }
    }
}

/// One validator's vote on one update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Who votes.
    pub validator: GeneratorId,
    /// What the vote weighs, in millionths.
    pub credibility_ppm: u32,
    /// What it measured; nothing for a gated update.
    pub measure: Option<Measure>,
    /// Why it votes against; nothing where it votes for.
    pub objection: Option<Objection>,
}

/// What one validator makes of each update: the numbers, and the objection if there is one.
pub(crate) type Ballot = BTreeMap<GeneratorId, (Option<Measure>, Option<Objection>)>;

/// Fills a validator's ballot from its findings.
pub(crate) fn ballot(rules: &DecisionRules, findings: &[Finding], memory: &Memory) -> Ballot {
    let mut scored = Vec::new();
    let mut ballot = Ballot::new();
    for finding in findings {
        match &finding.assessment {
            Assessment::Gated { failure } => {
                ballot.insert(finding.generator, (None, Some(Objection::Gate(*failure))));
            }
            Assessment::Scored { weight_ppb, score } => {
                scored.push((finding.generator, (*weight_ppb).max(1) as f64 * 1e-9, score));
            }
        }
    }
    // By generator, so that no sum below depends on the order of the report.
    scored.sort_by_key(|(generator, ..)| *generator);
    for ((generator, ..), measure) in scored.iter().zip(measures(rules, &scored, memory)) {
        ballot.insert(*generator, (Some(measure), objection(rules, measure)));
    }
    ballot
}

fn measures(
    rules: &DecisionRules,
    scored: &[(GeneratorId, f64, &MarginalScore)],
    memory: &Memory,
) -> Vec<Measure> {
    let z: Vec<Fixed> = scored.iter().map(|(_, _, score)| score.total.z()).collect();
    let relative: Vec<Fixed> = if scored.len() < rules.peers_min {
        // Too few peers to know what is usual: the noise of the rows is the only yardstick.
        z.clone()
    } else {
        let gains: Vec<f64> =
            scored.iter().map(|(_, weight, score)| score.total.mean_nats() / weight).collect();
        robust_z(&gains, rules.spread_min_nanonats as f64 * 1e-9)
            .into_iter()
            .map(|value| rules.limited(value))
            .collect()
    };
    let worst_class = worst_classes(rules, scored);
    (0..scored.len())
        .map(|place| Measure {
            z: z[place],
            relative: relative[place],
            memory: memory.after(scored[place].0, relative[place]),
            worst_class: worst_class[place],
        })
        .collect()
}

/// For each update, the lowest of its relative gains over the classes that enough rows measure.
fn worst_classes(rules: &DecisionRules, scored: &[(GeneratorId, f64, &MarginalScore)]) -> Vec<Fixed> {
    let mut worst = vec![Fixed::ZERO; scored.len()];
    let Some((_, _, first)) = scored.first() else { return worst };
    if scored.len() < rules.peers_min {
        return worst;
    }
    for measured in &first.classes {
        if measured.sums.rows < rules.class_rows_min {
            continue;
        }
        let gain = |(_, weight, score): &(GeneratorId, f64, &MarginalScore)| {
            score.class(measured.class).map_or(0.0, |sums| sums.mean_nats() / weight)
        };
        let gains: Vec<f64> = scored.iter().map(gain).collect();
        for (lowest, value) in worst.iter_mut().zip(robust_z(&gains, rules.spread_min_nanonats as f64 * 1e-9))
        {
            *lowest = (*lowest).min(Fixed::round(value));
        }
    }
    worst
}

fn objection(rules: &DecisionRules, measure: Measure) -> Option<Objection> {
    if measure.z < rules.z_reject && measure.memory < rules.memory_reject {
        Some(Objection::Harmful(measure))
    } else if measure.worst_class < rules.worst_class_reject {
        Some(Objection::RuinsClass(measure))
    } else {
        None
    }
}
