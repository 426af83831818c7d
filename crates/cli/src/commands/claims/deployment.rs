//! `tale claims deployment`: what a wallet sends to make a distributor.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use tale_chain::{ACTIVATION_DELAY_MAX, Deployment as NewDistributor};
use tale_primitives::{Address, Digest};

use crate::{
    arguments::Global,
    failure::{Failure, UNUSABLE},
    output,
};

/// Prints the data of a transaction that deploys a distributor; needs neither a database nor a key.
///
/// Any wallet may send it, to no address: it has no say in the contract afterwards. Check who holds the keys, and then name
/// the new contract to `tale claims publish --contract ADDRESS --chain-id ID`.
#[derive(Debug, Args)]
pub struct Deployment {
    /// Who names new holders of the other keys; best a multi-signature wallet.
    #[arg(long, value_name = "ADDRESS")]
    owner: Address,
    /// Whose key proposes roots.
    #[arg(long, value_name = "ADDRESS")]
    proposer: Address,
    /// Whose key confirms them.
    #[arg(long, value_name = "ADDRESS")]
    confirmer: Address,
    /// Whose key disables them before they are active, and pauses.
    #[arg(long, value_name = "ADDRESS")]
    guardian: Address,
    /// How many seconds a confirmed root waits; less than a day, so that each night's finds the one before it active.
    #[arg(
        long, value_name = "SECONDS", default_value_t = 43_200,
        value_parser = clap::value_parser!(u64).range(1..=ACTIVATION_DELAY_MAX.as_secs())
    )]
    activation_delay: u64,
}

impl Deployment {
    /// Prints the data, in hexadecimal digits.
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let distributor = NewDistributor {
            owner: self.owner,
            proposer: self.proposer,
            confirmer: self.confirmer,
            guardian: self.guardian,
            activation_delay: Duration::from_secs(self.activation_delay),
        };
        let data = distributor.creation_data().map_err(|error| Failure::of(&error).code(UNUSABLE))?;
        match global.output {
            output::Format::Table => output::line(&data.to_string()),
            output::Format::Json => output::json(&json!({
                "owner": self.owner,
                "proposer": self.proposer,
                "confirmer": self.confirmer,
                "guardian": self.guardian,
                "activation_delay_seconds": self.activation_delay,
                "data_sha256": Digest::of(&data),
                "data": data,
            })),
        }
    }
}
