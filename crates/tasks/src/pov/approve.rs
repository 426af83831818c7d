//! `pov.approve`: the eligibility gate.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tale_primitives::GeneratorId;
use tale_worker::{Completion, Kind, TaskContext, TaskError};

/// Says whether the accepted updates may change the model, by policy.
pub struct Approve;

/// Who opens the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// It is open: validation alone decides.
    Automatic,
    /// It is open where at least half of the updates were accepted; otherwise the model stays as it is.
    Majority,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Who opens the gate.
    policy: Policy,
    /// How many updates there were.
    updates: u32,
    /// Whose were accepted.
    #[schemars(with = "Vec<String>")]
    accepted: Vec<GeneratorId>,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Whether the round may change the model.
    eligible: bool,
}

impl Kind for Approve {
    const NAME: &'static str = "pov.approve";
    const SUMMARY: &'static str = "The eligibility gate between a decision and the model, by policy.";
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let accepted = arguments.accepted.len() as u32;
        let eligible = match arguments.policy {
            Policy::Automatic => true,
            Policy::Majority => accepted * 2 >= arguments.updates,
        };
        if !eligible {
            context.log(format!(
                "{accepted} of {} updates were accepted: the model stays as it is",
                arguments.updates
            ));
        }
        Ok(Completion::of(Outputs { eligible }))
    }
}
