#![doc = include_str!("../README.md")]

mod decision;
mod error;
mod fixed;
mod gates;
mod points;
mod report;
mod robust;
mod score;
mod vote;

pub use decision::{Decision, DecisionRules, Memory, Outcome, Panelist, Verdict, decide};
pub use error::ValidationError;
pub use fixed::Fixed;
pub use gates::{Candidate, GateFailure, GateRules, UpdateContent, gate};
pub use points::{Contribution, LossSum, PATH_NODES, POINTS_PER_NAT, RoundPoints, Slope, aumann_shapley};
pub use report::{Assessment, Finding, ValidatorReport, weight_ppb};
pub use score::{DifferenceSums, MarginalScore};
pub use vote::{Measure, Objection, Vote};
