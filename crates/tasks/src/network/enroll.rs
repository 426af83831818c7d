//! `network.enroll`: the simulated generators of a network.

use futures::FutureExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tale_network::{CREDIBILITY_PPM_MAX, NetworkError, NewGenerator, register_generators};
use tale_primitives::{Address, GeneratorId, Name};
use tale_worker::{Completion, Kind, TaskContext, TaskError};

use crate::Member;

/// Registers participants and validators under derived ids; registering them again changes nothing.
pub struct Enroll;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The network's name: the same names give the same ids and owners.
    network: String,
    /// How many participants there are.
    #[schemars(range(min = 1, max = 10_000))]
    participants: u32,
    /// How many validators there are.
    #[schemars(range(min = 1, max = 1000))]
    validators: u32,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// The participants, by name.
    participants: Vec<Member>,
    /// The validators, by name.
    validators: Vec<Member>,
}

impl Kind for Enroll {
    const NAME: &'static str = "network.enroll";
    const SUMMARY: &'static str = "Registers the simulated generators of a network.";
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(_: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let network = arguments.network;
        let participants = (1..=arguments.participants)
            .map(|number| generator(&network, &format!("participant-{number:02}"), true))
            .collect::<Result<Vec<_>, _>>()?;
        let validators = (1..=arguments.validators)
            .map(|number| generator(&network, &format!("validator-{number:02}"), false))
            .collect::<Result<Vec<_>, _>>()?;
        let members = |generators: &[NewGenerator]| generators.iter().map(member).collect();
        let outputs = Outputs { participants: members(&participants), validators: members(&validators) };
        let generators: Vec<NewGenerator> = participants.into_iter().chain(validators).collect();
        Ok(Completion::of(outputs).effect(move |connection| {
            let generators = generators.clone();
            async move {
                register_generators(connection, &generators).await.map(drop).map_err(|error| match error {
                    NetworkError::Database(_) => TaskError::retry(error),
                    _ => TaskError::fail(error),
                })
            }
            .boxed()
        }))
    }
}

fn generator(network: &str, name: &str, is_participant: bool) -> Result<NewGenerator, TaskError> {
    Ok(NewGenerator {
        id: GeneratorId::derive(network, name),
        name: name.parse::<Name>().map_err(TaskError::fail)?,
        owner: Address::derive(&format!("{network}/{name}")),
        is_participant,
        is_validator: !is_participant,
        credibility_ppm: CREDIBILITY_PPM_MAX,
    })
}

fn member(generator: &NewGenerator) -> Member {
    Member { id: generator.id, name: generator.name.to_string(), credibility_ppm: generator.credibility_ppm }
}
