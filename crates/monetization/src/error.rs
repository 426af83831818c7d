use tale_ledger::Asset;
use tale_primitives::{Address, AllocationOverflow, UtcDay};

use crate::{IncomeKind, WorkId};

/// Why something was refused.
#[derive(Debug, thiserror::Error)]
pub enum MonetizationError {
    /// A text that names no kind of income.
    #[error(
        "{0:?} is not a kind of income: expected publishing, launchpad, trading, placement_ads, generation_credits, licence_sales or withdrawals"
    )]
    NotAnIncomeKind(String),
    /// A text that names no work.
    #[error("{0:?} is not the id of a work: expected 1 to 100 letters, digits, '.', '_', ':' and '-'")]
    NotAWork(String),
    /// No file has this version.
    #[error("there are no rules with version {0}")]
    UnknownRuleset(u32),
    /// A file of rules does not parse.
    #[error("the rules with version {version} cannot be read")]
    UnreadableRuleset {
        /// Their version.
        version: u32,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A file of rules says what cannot be.
    #[error("the rules with version {0} contradict themselves")]
    ImpossibleRuleset(u32),
    /// An epoch is divided by the rules that it was sealed with.
    #[error("the dividends of {epoch} were sealed with rules {sealed}, not {given}")]
    RulesetDiffers {
        /// The epoch.
        epoch: UtcDay,
        /// The version it was sealed with.
        sealed: u32,
        /// The version that the caller gave.
        given: u32,
    },
    /// Two events have one id and differ: a mistake of their source, never a repetition.
    #[error("revenue event {id} stands twice with other content")]
    EventDiffers {
        /// The id.
        id: String,
    },
    /// An event of a later day.
    #[error("revenue event {id} was earned after {epoch}, the day to be divided")]
    EventAfterEpoch {
        /// The id.
        id: String,
        /// The epoch.
        epoch: UtcDay,
    },
    /// Somebody holds a work twice at one time.
    #[error("{holder} stands twice among the holders of {work} at the end of {day}")]
    HolderTwice {
        /// The work.
        work: WorkId,
        /// The holder.
        holder: Address,
        /// The record date.
        day: UtcDay,
    },
    /// Revenue in an asset that the rules do not know.
    #[error("{work} earned {asset}, which the rules do not allow")]
    AssetNotAllowed {
        /// The asset.
        asset: Asset,
        /// The work.
        work: WorkId,
    },
    /// Income that no work earns.
    #[error("{work} cannot earn by {kind}")]
    NoRevenue {
        /// The kind.
        kind: IncomeKind,
        /// The work.
        work: WorkId,
    },
    /// A sum needs more than 256 bits.
    #[error("a sum of {asset} goes beyond 256 bits")]
    Overflow {
        /// The asset of the sum.
        asset: Asset,
    },
    /// A product needs more than 256 bits.
    #[error(transparent)]
    AllocationOverflow(#[from] AllocationOverflow),
    /// Something could not be written as canonical JSON.
    #[error("the canonical form cannot be written")]
    Canonical(#[source] serde_json::Error),
}
