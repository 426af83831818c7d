//! From the panel's reports to verdicts: a pure function.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};
use tale_primitives::GeneratorId;

use crate::{
    Fixed, Objection, ValidationError, ValidatorReport, Vote,
    vote::{Ballot, ballot},
};

const MILLION: u128 = 1_000_000;

/// Where the decision's thresholds stand. The defaults are the demo's; the README says what they were measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRules {
    /// A vote against needs a marginal gain below this many standard errors …
    pub z_reject: Fixed,
    /// … and a memory of relative gains below this many spreads.
    pub memory_reject: Fixed,
    /// The most by which one round moves the memory, in spreads, up or down.
    pub relative_limit: Fixed,
    /// A relative gain on one class below this is a vote against by itself.
    pub worst_class_reject: Fixed,
    /// Rows that a class needs for the worst-class check.
    pub class_rows_min: u64,
    /// Scored updates that a comparison with the others needs.
    pub peers_min: usize,
    /// The least spread of gains, in nano-nats per unit of weight: below it agreement is chance.
    pub spread_min_nanonats: u64,
    /// An update is accepted if at least this share of the voting weight is for it.
    pub accept_ppm: u32,
    /// The share of the panel, by heads and by weight, that must have voted.
    pub quorum_ppm: u32,
}

impl Default for DecisionRules {
    fn default() -> Self {
        Self {
            z_reject: Fixed::from_units(-2 << 20),
            memory_reject: Fixed::round(-2.2),
            relative_limit: Fixed::from_units(8 << 20),
            worst_class_reject: Fixed::from_units(-12 << 20),
            class_rows_min: 20,
            peers_min: 4,
            spread_min_nanonats: 100_000,
            accept_ppm: 500_001,
            quorum_ppm: 666_666,
        }
    }
}

impl DecisionRules {
    pub(crate) fn limited(&self, relative: f64) -> Fixed {
        let limit = self.relative_limit.units();
        Fixed::from_units(Fixed::round(relative).units().clamp(-limit, limit))
    }
}

/// One validator of a round's panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Panelist {
    /// Who.
    pub validator: GeneratorId,
    /// What its votes weigh, in millionths.
    pub credibility_ppm: u32,
}

/// What earlier rounds say about each participant: its relative gains, halved from round to round.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Memory(BTreeMap<GeneratorId, Fixed>);

impl Memory {
    /// What is remembered of a participant.
    pub fn of(&self, generator: GeneratorId) -> Option<Fixed> {
        self.0.get(&generator).copied()
    }

    /// The memory after one more round: half of the old, half of the new; the new alone at first.
    pub(crate) fn after(&self, generator: GeneratorId, relative: Fixed) -> Fixed {
        self.of(generator).map_or(relative, |old| Fixed::from_units((old.units() + relative.units()) / 2))
    }
}

/// What became of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It goes into the next model.
    Accepted,
    /// It does not, for this reason: that of the weightiest votes against it.
    Rejected {
        /// Why.
        reason: Objection,
    },
    /// Too few validators voted; it does not go into the next model either.
    Deferred {
        /// Validators that voted on it.
        voted: u32,
        /// Validators of the panel.
        panel: u32,
    },
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => write!(f, "accepted"),
            Self::Rejected { reason } => write!(f, "rejected: {reason}"),
            Self::Deferred { voted, panel } => {
                write!(f, "deferred: {voted} of {panel} validators voted, which is no quorum")
            }
        }
    }
}

/// The verdict on one update, with the votes behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Who sent the update.
    pub generator: GeneratorId,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The votes, by validator.
    pub votes: Vec<Vote>,
}

/// The decision on a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// One verdict per update, by generator.
    pub verdicts: Vec<Verdict>,
    /// What the next round remembers.
    pub memory: Memory,
}

impl Decision {
    /// The generators whose updates go into the next model, in order.
    pub fn accepted(&self) -> Vec<GeneratorId> {
        let accepted = self.verdicts.iter().filter(|verdict| verdict.outcome == Outcome::Accepted);
        accepted.map(|verdict| verdict.generator).collect()
    }
}

/// Turns reports into verdicts.
///
/// The answer depends on the set of reports and of findings alone, not on their order. Reports must
/// come from the panel, one each, and on the same base model; an update that a validator does not
/// mention has no vote of it.
pub fn decide(
    rules: &DecisionRules,
    panel: &[Panelist],
    reports: &[ValidatorReport],
    memory: &Memory,
) -> Result<Decision, ValidationError> {
    let credibility = check_panel(panel, reports)?;
    let ballots: BTreeMap<GeneratorId, Ballot> =
        reports.iter().map(|report| (report.validator, ballot(rules, &report.findings, memory))).collect();
    let generators: BTreeSet<GeneratorId> =
        ballots.values().flat_map(|ballot| ballot.keys().copied()).collect();

    let mut remembered = memory.clone();
    let mut verdicts = Vec::with_capacity(generators.len());
    for generator in generators {
        let votes: Vec<Vote> = ballots
            .iter()
            .filter_map(|(validator, ballot)| {
                let &(measure, objection) = ballot.get(&generator)?;
                let credibility_ppm = credibility[validator];
                Some(Vote { validator: *validator, credibility_ppm, measure, objection })
            })
            .collect();
        let outcome = tally(rules, panel, &votes);
        let mut memories: Vec<Fixed> = votes.iter().filter_map(|vote| Some(vote.measure?.memory)).collect();
        memories.sort();
        // A deferred round teaches nothing: too few have looked.
        if !matches!(outcome, Outcome::Deferred { .. }) && !memories.is_empty() {
            remembered.0.insert(generator, memories[(memories.len() - 1) / 2]);
        }
        verdicts.push(Verdict { generator, outcome, votes });
    }
    Ok(Decision { verdicts, memory: remembered })
}

/// The credibility of each panelist, if panel and reports are well-formed.
fn check_panel(
    panel: &[Panelist],
    reports: &[ValidatorReport],
) -> Result<BTreeMap<GeneratorId, u32>, ValidationError> {
    let mut credibility = BTreeMap::new();
    for panelist in panel {
        if credibility.insert(panelist.validator, panelist.credibility_ppm).is_some() {
            return Err(ValidationError::RepeatedValidator(panelist.validator));
        }
    }
    let mut seen = BTreeSet::new();
    for report in reports {
        if !credibility.contains_key(&report.validator) {
            return Err(ValidationError::StrangeValidator(report.validator));
        }
        if !seen.insert(report.validator) {
            return Err(ValidationError::RepeatedValidator(report.validator));
        }
        if report.base != reports[0].base {
            return Err(ValidationError::BasesDiffer(reports[0].base, report.base));
        }
        let mut judged = BTreeSet::new();
        for finding in &report.findings {
            if !judged.insert(finding.generator) {
                return Err(ValidationError::RepeatedFinding(report.validator, finding.generator));
            }
        }
    }
    Ok(credibility)
}

/// Counts votes by weight, in integers.
fn tally(rules: &DecisionRules, panel: &[Panelist], votes: &[Vote]) -> Outcome {
    let weight = |votes: &mut dyn Iterator<Item = &Vote>| -> u128 {
        votes.map(|vote| u128::from(vote.credibility_ppm)).sum()
    };
    let voted = weight(&mut votes.iter());
    let in_favour = weight(&mut votes.iter().filter(|vote| vote.objection.is_none()));
    let panel_weight: u128 = panel.iter().map(|panelist| u128::from(panelist.credibility_ppm)).sum();

    let reaches = |part: u128, whole: u128, ppm: u32| part * MILLION >= whole * u128::from(ppm);
    let heads_suffice = reaches(votes.len() as u128, panel.len() as u128, rules.quorum_ppm);
    let weight_suffices = voted > 0 && reaches(voted, panel_weight, rules.quorum_ppm);
    if !heads_suffice || !weight_suffices {
        return Outcome::Deferred { voted: votes.len() as u32, panel: panel.len() as u32 };
    }
    // The reason that people read is that of the weightiest validator; of equals, the first by id.
    let heaviest = votes
        .iter()
        .filter_map(|vote| Some((vote.credibility_ppm, vote.objection?)))
        .reduce(|best, other| if other.0 > best.0 { other } else { best });
    match heaviest {
        Some((_, reason)) if !reaches(in_favour, voted, rules.accept_ppm) => Outcome::Rejected { reason },
        _ => Outcome::Accepted,
    }
}
