use alloy_primitives::{B256, Bytes, keccak256};
use alloy_sol_types::{SolCall, SolInterface, SolValue};
use tale_primitives::{Address, Amount};

use crate::{
    ChainError, Endpoint,
    abi::{
        self, Distribution,
        Distributor::{self, DistributorErrors, Role},
    },
    endpoint::Call,
    words::{amount, chain_address, own_address},
};

/// A distributor on a chain.
#[derive(Debug, Clone)]
pub struct DistributorContract {
    pub(crate) endpoint: Endpoint,
    chain_id: u64,
    address: Address,
}

impl DistributorContract {
    /// The distributor at this address; an endpoint of another chain, and an address without a distributor, are errors.
    pub async fn find(endpoint: Endpoint, chain_id: u64, address: Address) -> Result<Self, ChainError> {
        let found = endpoint.chain_id().await?;
        if found != chain_id {
            return Err(ChainError::OtherChain { expected: chain_id, found });
        }
        let contract = Self { endpoint, chain_id, address };
        let none = ChainError::NoDistributor { chain_id, contract: address };
        if contract.endpoint.code_size(chain_address(address)).await? == 0 {
            return Err(none);
        }
        let head = contract.head().await?;
        // only a distributor answers to this
        match contract.read(&Distributor::activationDelayCall {}, head).await {
            Ok(delay) if delay > 0 => Ok(contract),
            Ok(_) | Err(ChainError::Reverted(_) | ChainError::Unexpected { .. }) => Err(none),
            Err(error) => Err(error),
        }
    }

    /// The chain.
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The contract's address.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// The number of the newest block.
    pub(crate) async fn head(&self) -> Result<u64, ChainError> {
        Ok(self.endpoint.head().await?.number.to())
    }

    /// What the contract answers after a block.
    pub(crate) async fn read<C: SolCall>(&self, call: &C, at: u64) -> Result<C::Return, ChainError> {
        view(&self.endpoint, chain_address(self.address), call, at).await
    }

    /// Who holds a role after a block.
    pub(crate) async fn holder(&self, role: Role, at: u64) -> Result<Address, ChainError> {
        Ok(own_address(self.read(&Distributor::holderOfCall { role }, at).await?))
    }

    /// What was paid in a token, and what is there of it, after a block.
    pub(crate) async fn funds(&self, token: Address, at: u64) -> Result<(Amount, Amount), ChainError> {
        let token = chain_address(token);
        let paid = self.read(&Distributor::paidCall { token }, at).await?;
        let call = abi::TestToken::balanceOfCall { account: chain_address(self.address) };
        let balance = view(&self.endpoint, token, &call, at).await?;
        Ok((amount(paid), amount(balance)))
    }

    /// The root that claims are paid from, the one before it, and the one that waits.
    pub(crate) async fn distributions(&self, at: u64) -> Result<[Distribution; 3], ChainError> {
        Ok([
            self.read(&Distributor::currentDistributionCall {}, at).await?,
            self.read(&Distributor::previousDistributionCall {}, at).await?,
            self.read(&Distributor::pendingDistributionCall {}, at).await?,
        ])
    }
}

/// What the contract keeps of a proposal.
pub(crate) fn proposal_of(call: &Distributor::proposeCall) -> B256 {
    keccak256((call.root, call.endTime, call.totals.clone()).abi_encode_params())
}

async fn view<C: SolCall>(
    endpoint: &Endpoint,
    to: alloy_primitives::Address,
    call: &C,
    at: u64,
) -> Result<C::Return, ChainError> {
    let call = Call { from: None, to, data: call.abi_encode().into() };
    let answer = endpoint.view(&call, at).await.map_err(reverted)?;
    C::abi_decode_returns(&answer).map_err(|_| ChainError::Unexpected { method: "eth_call" })
}

/// Gives a refused call the name of the contract's error.
pub(crate) fn reverted(error: ChainError) -> ChainError {
    let ChainError::Refused { data: Some(data), .. } = &error else { return error };
    match data.parse::<Bytes>().ok().and_then(|data| DistributorErrors::abi_decode(&data).ok()) {
        Some(known) => ChainError::Reverted(describe(&known)),
        None => ChainError::Reverted("with an error that is not a distributor's".to_owned()),
    }
}

/// The error as the contract names it, with its values.
fn describe(error: &DistributorErrors) -> String {
    let text = format!("{error:?}");
    // `Insolvent(Insolvent { token: …, … })`
    match text.split_once('(') {
        Some((_, inner)) => inner.trim_end_matches(')').to_owned(),
        None => text,
    }
}
