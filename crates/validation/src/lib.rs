#![doc = include_str!("../README.md")]

mod decision;
mod error;
mod evidence;
mod fixed;
mod gates;
mod outcome;
mod points;
mod report;
mod robust;
mod score;
mod vote;

pub use decision::{Decision, DecisionRules, Memory, Outcome, Panelist, Verdict, decide};
pub use error::ValidationError;
pub use evidence::{
    DecisionInputs, RecordedRound, RoundEvidence, RoundSummary, list_rounds, record_round, show_round,
};
pub use fixed::Fixed;
pub use gates::{Candidate, GateFailure, GateRules, UpdateContent, gate};
pub use outcome::{RoundOutcome, contributions_of, find_outcome, record_contributions};
pub use points::{
    Contribution, LossChange, PATH, PATH_NODES, POINTS_PER_NAT, PathNode, RoundPoints, Slope, aumann_shapley,
};
pub use report::{Assessment, Finding, ValidatorReport, weight_ppb};
pub use score::{ClassSums, DifferenceSums, MarginalScore};
pub use vote::{Measure, Objection, Vote};
