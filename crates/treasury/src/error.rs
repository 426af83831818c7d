use tale_ledger::LedgerError;
use tale_network::NetworkError;
use tale_primitives::{Address, AllocationOverflow, Amount, Digest, GeneratorId, UtcDay};

use crate::{EpochState, MerkleError, MerkleHash, StakingError, VestingError, WithdrawalError};

/// Why the treasury refused something.
#[derive(Debug, thiserror::Error)]
pub enum TreasuryError {
    /// A product or sum beyond 256 bits.
    #[error(transparent)]
    AllocationOverflow(#[from] AllocationOverflow),
    /// Points that do not fit in 64 bits when added up.
    #[error("the points of epoch {epoch} do not fit in 64 bits")]
    PointsOverflow {
        /// The epoch.
        epoch: UtcDay,
    },
    /// No file has this version.
    #[error("there is no ruleset {0}")]
    UnknownRuleset(u32),
    /// The file of a ruleset does not parse.
    #[error("ruleset {version} cannot be read")]
    UnreadableRuleset {
        /// Its version.
        version: u32,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The file of a ruleset says what cannot be.
    #[error("ruleset {0} emits nothing, or more than it has")]
    ImpossibleRuleset(u32),
    /// An epoch is computed by the ruleset that it was sealed with.
    #[error("epoch {epoch} was sealed with ruleset {sealed}, not {given}")]
    RulesetDiffers {
        /// The epoch.
        epoch: UtcDay,
        /// The version it was sealed with.
        sealed: u32,
        /// The version that the caller gave.
        given: u32,
    },
    /// A generator stands twice in one list of contributions.
    #[error("generator {0} is named twice")]
    GeneratorTwice(GeneratorId),
    /// The name of a batch is empty or longer than is kept.
    #[error("the source of contributions has 1 to 200 characters, this one has {0}")]
    SourceLength(usize),
    /// A source that was recorded with other points.
    #[error("the contributions of {source_name} are recorded with other content ({recorded}, not {given})")]
    ContributionsDiffer {
        /// The source.
        source_name: String,
        /// The digest of what is recorded.
        recorded: Digest,
        /// The digest of what was given.
        given: Digest,
    },
    /// A contribution of a later day than the epoch's.
    #[error("epoch {epoch} cannot count what was earned on {origin}")]
    FromTheFuture {
        /// The epoch.
        epoch: UtcDay,
        /// The day on which it was earned.
        origin: UtcDay,
    },
    /// What is left to be repaid changed between gathering and sealing.
    #[error("epoch {epoch} names over-payments that were repaid or found meanwhile")]
    ReceivablesMoved {
        /// The epoch that was to be sealed.
        epoch: UtcDay,
    },
    /// The two computations give an owner something else.
    #[error(
        "the computations of epoch {epoch} differ for {owner}: stored is {stored}, the second came to {derived}"
    )]
    ComputationsDiffer {
        /// The epoch.
        epoch: UtcDay,
        /// The first owner, by address, whose reward differs.
        owner: Address,
        /// The canonical line that is stored.
        stored: String,
        /// The canonical line of the second computation.
        derived: String,
    },
    /// The two computations agree on every reward and not on the whole.
    #[error(
        "the computations of epoch {epoch} differ beside its rewards: {recorded}, the second came to {derived}"
    )]
    DigestsDiffer {
        /// The epoch.
        epoch: UtcDay,
        /// The recorded digest.
        recorded: Digest,
        /// The digest of the second computation.
        derived: Digest,
    },
    /// Somebody holds the epoch, or one before it.
    #[error("epoch {epoch} is held since {held}: {reason}")]
    Held {
        /// The epoch.
        epoch: UtcDay,
        /// The day that is held, this one or an earlier one.
        held: UtcDay,
        /// Why.
        reason: String,
    },
    /// An epoch that is final can no longer be held.
    #[error("epoch {0} is final: the time in which it could be held has passed")]
    IsFinal(UtcDay),
    /// A release of what nobody holds.
    #[error("epoch {0} is not held")]
    NotHeld(UtcDay),
    /// A reason, or a correction's key, that cannot be kept.
    #[error("{what} {given:?} cannot be kept: expected {expected}")]
    UnusableText {
        /// What it is.
        what: &'static str,
        /// Its beginning.
        given: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A correction of more than was paid.
    #[error(
        "{owner} was paid {paid} in epoch {epoch}, of which {corrected} is corrected already: not {given} more"
    )]
    OverCorrected {
        /// The epoch.
        epoch: UtcDay,
        /// The owner.
        owner: Address,
        /// What the epoch paid, before repayments.
        paid: Amount,
        /// What other corrections found to be too much.
        corrected: Amount,
        /// What was to be corrected.
        given: Amount,
    },
    /// A key that another correction has.
    #[error("correction {correction} is recorded with another owner, epoch, amount or reason")]
    CorrectionDiffers {
        /// Its key.
        correction: String,
    },
    /// Another epoch settled some of the batches first.
    #[error("epoch {epoch} counts contributions that another epoch has settled meanwhile")]
    ContributionsMoved {
        /// The epoch that was to be sealed.
        epoch: UtcDay,
    },
    /// The epoch is not sealed.
    #[error("epoch {0} is not sealed")]
    NotSealed(UtcDay),
    /// The epoch is sealed with other inputs.
    #[error("epoch {epoch} is sealed with other inputs ({sealed}, not {given})")]
    InputsDiffer {
        /// The epoch.
        epoch: UtcDay,
        /// The digest of the sealed inputs.
        sealed: Digest,
        /// The digest of the inputs that the caller gave.
        given: Digest,
    },
    /// The epoch has another result.
    #[error("epoch {epoch} has another result ({recorded}, not {given})")]
    ResultDiffers {
        /// The epoch.
        epoch: UtcDay,
        /// The digest of the recorded result.
        recorded: Digest,
        /// The digest of the result that the caller gave.
        given: Digest,
    },
    /// A later day is sealed, and days are settled in their order.
    #[error(
        "epoch {epoch} comes too late: epoch {later} is sealed; its contributions belong to the next one"
    )]
    LaterEpochSealed {
        /// The epoch.
        epoch: UtcDay,
        /// A sealed epoch after it.
        later: UtcDay,
    },
    /// The step before this one has not been taken.
    #[error("epoch {epoch} is {state}, and must be {needed} first")]
    WrongState {
        /// The epoch.
        epoch: UtcDay,
        /// Its state.
        state: EpochState,
        /// The state that it must have.
        needed: EpochState,
    },
    /// An earlier day has not come as far, and days are settled in their order.
    #[error("epoch {epoch} waits for epoch {earlier}, which is {state}")]
    EarlierEpochPending {
        /// The epoch.
        epoch: UtcDay,
        /// The earlier one.
        earlier: UtcDay,
        /// The state of the earlier one.
        state: EpochState,
    },
    /// Stored rewards do not have the digest that was recorded with them.
    #[error("the stored result of epoch {epoch} was changed: {derived}, recorded is {recorded}")]
    CorruptResult {
        /// The epoch.
        epoch: UtcDay,
        /// The recorded digest.
        recorded: Digest,
        /// The digest of what is stored.
        derived: Digest,
    },
    /// The claims would promise something else than was posted.
    #[error("the claims of epoch {epoch} add up to {claims}, posted were {posted}")]
    ClaimsDiffer {
        /// The epoch.
        epoch: UtcDay,
        /// The sum of the leaves.
        claims: Amount,
        /// The sum of what the epochs paid.
        posted: Amount,
    },
    /// The tree of a published epoch no longer has the published root.
    #[error("the claims of epoch {epoch} no longer have its published root")]
    RootDiffers {
        /// The epoch.
        epoch: UtcDay,
    },
    /// The epoch has no claims tree: it is not published, or nobody ever earned anything.
    #[error("epoch {0} has no claims tree")]
    NoClaims(UtcDay),
    /// A tree could not be built.
    #[error("the claims tree cannot be built")]
    Merkle(#[from] MerkleError),
    /// The token's start is set to another day.
    #[error("the token started on {set}, not on {given}")]
    TokenStarted {
        /// The day that is set.
        set: UtcDay,
        /// The day that was given.
        given: UtcDay,
    },
    /// A day that has not come yet, by the database's clock.
    #[error("{day} has not come: today is {today}")]
    FutureDay {
        /// The day.
        day: UtcDay,
        /// The database's day.
        today: UtcDay,
    },
    /// A release of the vesting table was refused.
    #[error(transparent)]
    Vesting(#[from] VestingError),
    /// Staking refused something.
    #[error(transparent)]
    Staking(#[from] StakingError),
    /// A withdrawal was refused.
    #[error(transparent)]
    Withdrawal(#[from] WithdrawalError),
    /// Something could not be written as canonical JSON.
    #[error("the canonical form cannot be written")]
    Canonical(#[source] serde_json::Error),
    /// A stored row that the constraints should have made impossible.
    #[error("a row of treasury.{table} for {row} cannot be read")]
    CorruptRow {
        /// The table.
        table: &'static str,
        /// Which row.
        row: String,
    },
    /// A claims file that was written does not read back as the epoch's tree.
    #[error("the claims file of epoch {epoch} does not read back: it has root {read}, published is {root}")]
    ClaimsFileDiffers {
        /// The epoch.
        epoch: UtcDay,
        /// The published root.
        root: MerkleHash,
        /// The root of what was read back.
        read: MerkleHash,
    },
    /// The ledger refused.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The register of generators refused.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The database failed.
    #[error("the treasury cannot be reached")]
    Database(#[from] sqlx::Error),
}

impl TreasuryError {
    /// Whether trying again may succeed where nothing else has changed: the database failed, whichever crate asked it.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(_) | Self::Network(NetworkError::Database(_)) => true,
            Self::Ledger(error) => error.is_transient(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_fails_within_the_ledger_or_the_register_is_worth_another_attempt() {
        let lost = || sqlx::Error::PoolTimedOut;
        assert!(TreasuryError::from(lost()).is_transient());
        assert!(TreasuryError::from(LedgerError::Database(lost())).is_transient());
        let member = LedgerError::BatchRefused {
            batch: "a night".to_owned(),
            place: 1,
            key: "a journal".to_owned(),
            source: Box::new(LedgerError::Database(lost())),
        };
        assert!(TreasuryError::from(member).is_transient());
        assert!(TreasuryError::from(NetworkError::Database(lost())).is_transient());
        assert!(!TreasuryError::from(LedgerError::NotAnAsset("1".to_owned())).is_transient());
    }
}
