//! Which distributor, on which chain, by which node: what the commands about the chain take.

use clap::Args;
use sqlx::PgConnection;
use tale_chain::{DistributorContract, Endpoint, registered_distributor};
use tale_primitives::Address;

use crate::failure::{Failure, UNUSABLE};

/// A distributor and a way to it.
#[derive(Debug, Args)]
pub struct OnChain {
    /// The JSON-RPC endpoint of a node. It may hold a provider's key, so better in the environment than here.
    #[arg(long, value_name = "URL", env = "TALE_RPC_URL", hide_env_values = true)]
    rpc: Option<String>,
    /// The distributor's address; unless given, the one to which roots were published before.
    #[arg(long, value_name = "ADDRESS", env = "TALE_DISTRIBUTOR", requires = "chain_id")]
    contract: Option<Address>,
    /// The chain's id: an endpoint of another chain is refused.
    #[arg(long, value_name = "ID", env = "TALE_CHAIN_ID", value_parser = clap::value_parser!(u64).range(1..=i64::MAX as u64))]
    chain_id: Option<u64>,
}

impl OnChain {
    /// Whether an endpoint was named.
    pub fn is_asked_for(&self) -> bool {
        self.rpc.is_some()
    }

    /// The distributor that was named, or the one that is registered in the database.
    pub async fn find(&self, conn: Option<&mut PgConnection>) -> Result<DistributorContract, Failure> {
        let rpc = self.rpc.as_deref().ok_or_else(|| {
            Failure::new("no endpoint of a chain is named")
                .code(UNUSABLE)
                .help("name one with TALE_RPC_URL or --rpc URL")
        })?;
        let registered = match conn {
            Some(conn) => registered_distributor(conn).await?,
            None => None,
        };
        let named = self.chain_id.zip(self.contract).or(registered);
        let (chain_id, contract) = named.ok_or_else(|| {
            Failure::new("no distributor is named")
                .code(UNUSABLE)
                .help("name one with --contract ADDRESS --chain-id ID; later publications know it")
        })?;
        Ok(DistributorContract::find(Endpoint::at(rpc)?, chain_id, contract).await?)
    }
}
