use alloy_primitives::B256;
use tale_ledger::LedgerError;
use tale_primitives::{Address, Amount, UtcDay};
use tale_treasury::{MerkleHash, TreasuryError};

use crate::{Action, TransportError};

/// Why something could not be published, or not be read back.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The address of an endpoint is none.
    #[error("the endpoint's address is not an http or https URL")]
    NotAnEndpoint,
    /// A text that is no private key.
    #[error("the key is not a private key: expected 64 hexadecimal digits")]
    NotAKey,
    /// A distributor is to have a key that nobody has.
    #[error("the {role} is nobody: the zero address")]
    NobodysKey {
        /// What it is for.
        role: &'static str,
    },
    /// A distributor is to have one key for two roles.
    #[error("{holder} is to be {role} and {other}: no key holds two roles")]
    TwoRoles {
        /// The key's address.
        holder: Address,
        /// One role.
        role: &'static str,
        /// The other.
        other: &'static str,
    },
    /// A distributor's roots are to wait for longer, or shorter, than the contract lets them.
    #[error("a root cannot wait {seconds} s: from 1 s to 30 days")]
    ActivationDelay {
        /// How long.
        seconds: u64,
    },
    /// This build has no compiled contracts.
    #[error("the compiled contracts of this build cannot be read")]
    NoArtefact,
    /// The endpoint cannot be reached, or answered with something else than JSON-RPC.
    #[error("{method} got no answer from the endpoint")]
    Transport {
        /// The method that was called.
        method: &'static str,
        /// Why.
        #[source]
        source: TransportError,
    },
    /// The endpoint refused a call.
    #[error("{method} was refused by the endpoint: {message} (code {code})")]
    Refused {
        /// The method that was called.
        method: &'static str,
        /// JSON-RPC's code.
        code: i64,
        /// What the endpoint said.
        message: String,
        /// What a contract that refused said.
        data: Option<String>,
    },
    /// An answer that is not what the method answers.
    #[error("{method} was answered with something else than it answers")]
    Unexpected {
        /// The method that was called.
        method: &'static str,
    },
    /// The distributor refused a call.
    #[error("the distributor refuses: {0}")]
    Reverted(String),
    /// The endpoint belongs to another chain.
    #[error("the endpoint is of chain {found}, expected chain {expected}")]
    OtherChain {
        /// The chain that was asked for.
        expected: u64,
        /// The endpoint's chain.
        found: u64,
    },
    /// No contract, or another one, has this address.
    #[error("there is no distributor at {contract} on chain {chain_id}")]
    NoDistributor {
        /// The chain.
        chain_id: u64,
        /// The address.
        contract: Address,
    },
    /// Claims are paid by one distributor: a tree that two pay is paid twice.
    #[error(
        "claims are paid by {registered} on chain {registered_chain}, not by {given} on chain {given_chain}"
    )]
    OtherDistributor {
        /// The distributor that pays claims.
        registered: Address,
        /// Its chain.
        registered_chain: u64,
        /// The contract that was given.
        given: Address,
        /// Its chain.
        given_chain: u64,
    },
    /// The key holds no role that publishes.
    #[error("the key of {0} is neither the distributor's proposer nor its confirmer")]
    NoRole(Address),
    /// The epoch's root was recorded for this distributor with other content.
    #[error("epoch {epoch} is recorded with root {recorded}, not {given}")]
    PublicationDiffers {
        /// The epoch.
        epoch: UtcDay,
        /// The recorded root.
        recorded: MerkleHash,
        /// The root that was to be published.
        given: MerkleHash,
    },
    /// The leaves of the epoch are of several tokens, or of none.
    #[error("the claims of epoch {0} are not of one token")]
    NotOneToken(UtcDay),
    /// The proposer has not proposed this root, or has proposed another one since.
    #[error("root {root} of epoch {epoch} is not what is proposed on the chain")]
    NotProposed {
        /// The epoch.
        epoch: UtcDay,
        /// Its root.
        root: MerkleHash,
    },
    /// The contract does not hold what the root would promise.
    #[error("the distributor holds {balance} and would owe {outstanding} in {token}")]
    Insolvent {
        /// The token.
        token: Address,
        /// Σ cumulative − Σ claimed.
        outstanding: Amount,
        /// The distributor's balance.
        balance: Amount,
    },
    /// What the ledger owes its holders is not what the tree leaves unclaimed.
    #[error("the ledger owes {ledger}, and the claims that are not paid yet add up to {claims}")]
    LiabilityDiffers {
        /// What the ledger owes.
        ledger: Amount,
        /// Σ cumulative − Σ claimed, with what was posted since.
        claims: Amount,
    },
    /// The contract has paid something else than its events say.
    #[error("the distributor has paid {paid} in {token}, and its events add up to {events}")]
    EventsDiffer {
        /// The token.
        token: Address,
        /// What the contract says.
        paid: Amount,
        /// What the events say.
        events: Amount,
    },
    /// The fees that the chain asks for are above the limit.
    #[error("the chain asks for {asked} wei per gas, above the limit of {limit}")]
    FeeAboveLimit {
        /// What it asks for.
        asked: u128,
        /// The limit.
        limit: u128,
    },
    /// A transaction was mined and had no effect.
    #[error("{action} of epoch {epoch} was mined in {transaction} and refused: {reason}")]
    SubmissionReverted {
        /// What it was to do.
        action: Action,
        /// The epoch.
        epoch: UtcDay,
        /// The transaction.
        transaction: B256,
        /// The contract's error, as far as it can still be told.
        reason: String,
    },
    /// The time to wait for a block is over; what was sent stays sent, and running again goes on.
    #[error("{action} of epoch {epoch} is {state}, and not final yet")]
    NotFinal {
        /// What it does.
        action: Action,
        /// The epoch.
        epoch: UtcDay,
        /// How far it is.
        state: &'static str,
    },
    /// The chain was re-organised below a block that had been final.
    #[error("block {block} was final and is no longer of the chain: {what}")]
    DeepReorganisation {
        /// The block.
        block: u64,
        /// What was put back or compensated.
        what: String,
    },
    /// The chain went on changing while it was read.
    #[error("the chain changed while its events were read")]
    Unsteady,
    /// A stored row that the constraints should have made impossible.
    #[error("a row of chain.{table} for {row} cannot be read")]
    CorruptRow {
        /// The table.
        table: &'static str,
        /// Which row.
        row: String,
    },
    /// The treasury refused.
    #[error(transparent)]
    Treasury(Box<TreasuryError>),
    /// The ledger refused.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The database failed.
    #[error("the records of the chain cannot be reached")]
    Database(#[from] sqlx::Error),
}

impl From<TreasuryError> for ChainError {
    fn from(error: TreasuryError) -> Self {
        Self::Treasury(Box::new(error))
    }
}
