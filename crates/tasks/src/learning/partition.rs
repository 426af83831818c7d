//! `learning.partition`: who has which data.

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tale_primitives::Seed;
use tale_storage::{SplitRef, partition};
use tale_worker::{Caching, Completion, Kind, TaskContext, TaskError};

use crate::{Behaviour, Member, Participant, models::dataset, refusal};

/// Divides the train split of a data set over participants, unevenly.
pub struct Partition;

/// Whether some participants misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Simulation {
    /// Everyone is honest.
    None,
    /// One participant poisons and one free-rides, both with a good share of the data.
    Attackers,
    /// The two who would misbehave stay away, and everything else is as with them.
    HonestOnly,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The data set's name.
    dataset: String,
    /// Who takes part.
    participants: Vec<Member>,
    /// Concentration of the Dirichlet distribution: the smaller, the more uneven.
    alpha: f64,
    /// The run's seed.
    seed: u64,
    /// Whether some of them misbehave.
    simulate: Simulation,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// The participants with their shards, by name.
    participants: Vec<Participant>,
}

impl Kind for Partition {
    const NAME: &'static str = "learning.partition";
    const SUMMARY: &'static str = "Divides a data set's train split over participants (Dirichlet, non-IID).";
    const CACHING: Caching = Caching::ByArguments;
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let manifest = dataset(&context, &arguments.dataset).await?;
        let seed = Seed::new(arguments.seed);
        let members = arguments.participants;
        let shards =
            partition(&context.store, &manifest, members.len(), arguments.alpha, seed.child("partition"))
                .await
                .map_err(refusal::storage)?;
        let sizes: Vec<String> = shards.iter().map(|shard| shard.rows.to_string()).collect();
        context.log(format!(
            "{} rows over {} participants: {}",
            manifest.train.rows,
            members.len(),
            sizes.join(" ")
        ));
        let behaviours = behaviours(arguments.simulate, &seed, &members, &shards);
        let participants = members
            .into_iter()
            .zip(shards)
            .zip(behaviours)
            .filter_map(|((member, shard), behaviour)| {
                Some(Participant { id: member.id, name: member.name, shard, behaviour: behaviour? })
            })
            .collect();
        Ok(Completion::of(Outputs { participants }))
    }
}

/// How each participant behaves; nothing for one that stays away.
fn behaviours(
    simulation: Simulation,
    seed: &Seed,
    members: &[Member],
    shards: &[SplitRef],
) -> Vec<Option<Behaviour>> {
    let mut behaviours = vec![Some(Behaviour::Honest); members.len()];
    if simulation == Simulation::None || members.len() < 4 {
        return behaviours;
    }
    // two of the better half by rows, and a victim from there too
    let mut candidates: Vec<usize> = (0..members.len()).collect();
    candidates.sort_by_key(|&place| (std::cmp::Reverse(shards[place].rows), place));
    candidates.truncate((members.len() / 2).max(3));
    let mut rng = seed.child("attackers").rng();
    let mut draw = || candidates.swap_remove((rng.next_u64() % candidates.len() as u64) as usize);
    let (poisoner, rider, victim) = (draw(), draw(), draw());
    if simulation == Simulation::HonestOnly {
        behaviours[poisoner] = None;
        behaviours[rider] = None;
    } else {
        behaviours[poisoner] = Some(Behaviour::Poison);
        behaviours[rider] =
            Some(Behaviour::FreeRide { victim: members[victim].name.clone(), shard: shards[victim].clone() });
    }
    behaviours
}
