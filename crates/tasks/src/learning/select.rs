//! `learning.select`: who takes part in a round.

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tale_primitives::Seed;
use tale_worker::{Caching, Completion, Kind, TaskContext, TaskError};

use crate::Participant;

/// Draws participants without replacement; all of them where that is what the count says.
pub struct Select;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Who may take part.
    participants: Vec<Participant>,
    /// How many shall; more than there are takes everyone.
    #[schemars(range(min = 1))]
    count: usize,
    /// The round, from 1.
    round: u32,
    /// The run's seed.
    seed: u64,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Who takes part, by name.
    participants: Vec<Participant>,
}

impl Kind for Select {
    const NAME: &'static str = "learning.select";
    const SUMMARY: &'static str = "Draws the participants of a round.";
    const CACHING: Caching = Caching::ByArguments;
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let mut pool = arguments.participants;
        let mut rng = Seed::new(arguments.seed).child("select").child(&arguments.round.to_string()).rng();
        while pool.len() > arguments.count.max(1) {
            pool.remove((rng.next_u64() % pool.len() as u64) as usize);
        }
        pool.sort_by(|one, other| one.name.cmp(&other.name));
        if pool.is_empty() {
            return Err(TaskError::fail("there is nobody to select from"));
        }
        context.log(format!("round {}: {} participants", arguments.round, pool.len()));
        Ok(Completion::of(Outputs { participants: pool }))
    }
}
