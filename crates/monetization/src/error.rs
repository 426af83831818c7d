use chrono::{DateTime, Utc};
use tale_ledger::{Asset, LedgerError};
use tale_primitives::{Address, AllocationOverflow, Digest, UtcDay};
use tale_storage::StorageError;

use crate::{IncomeKind, LogProblem, WorkId};

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
    /// A log has rows that are wrong.
    #[error("{first}{}", more(*count))]
    BadLog {
        /// The first of them.
        first: Box<LogProblem>,
        /// How many there are.
        count: u64,
    },
    /// There is no log under this key.
    #[error("there is no revenue log {prefix}; a folder of logs ends in '/'")]
    NoLog {
        /// The key.
        prefix: String,
    },
    /// More files than are listed at once.
    #[error("more than {most} files lie below {prefix}; keep logs of past years elsewhere")]
    TooManyFiles {
        /// The prefix.
        prefix: String,
        /// The limit.
        most: usize,
    },
    /// More events than are sorted in memory.
    #[error(
        "the dividends of {epoch} have more than {most} new events; divide their logs among several days"
    )]
    TooManyEvents {
        /// The epoch.
        epoch: UtcDay,
        /// The limit.
        most: usize,
    },
    /// Two files have an event with one id, and they differ.
    #[error(
        "{file}, row {row}, column event_id: event {id:?} stands in {first_file}, row {first_row}, with other content"
    )]
    EventInTwoFiles {
        /// The id.
        id: String,
        /// The second file.
        file: String,
        /// Its row.
        row: u64,
        /// The first file.
        first_file: String,
        /// Its row.
        first_row: u64,
    },
    /// An event that an epoch has counted came again with other content.
    #[error(
        "{file}, row {row}, column event_id: event {id:?} was counted by the dividends of {day} with other content"
    )]
    EventCounted {
        /// The id.
        id: String,
        /// The file.
        file: String,
        /// Its row.
        row: u64,
        /// The epoch that counted it.
        day: UtcDay,
    },
    /// Another epoch counted some of the events first.
    #[error("the dividends of {epoch} have events that another epoch has counted meanwhile")]
    EventsMoved {
        /// The epoch that was to be posted.
        epoch: UtcDay,
    },
    /// The day goes on.
    #[error("{0} is not over: dividends belong to whoever holds a work at its end")]
    DayNotOver(UtcDay),
    /// A later day is divided, and days are divided in their order.
    #[error("the dividends of {epoch} come too late: {later} is divided; its events belong to the next day")]
    LaterEpochDivided {
        /// The epoch.
        epoch: UtcDay,
        /// A divided one after it.
        later: UtcDay,
    },
    /// The day is not divided.
    #[error("the revenue of {0} is not divided")]
    NotDivided(UtcDay),
    /// The day was divided from other inputs.
    #[error("{epoch} was divided from other inputs ({sealed}, not {given})")]
    InputsDiffer {
        /// The epoch.
        epoch: UtcDay,
        /// The digest of its inputs.
        sealed: Digest,
        /// The digest of what was given.
        given: Digest,
    },
    /// The day has another result.
    #[error("{epoch} has another result ({recorded}, not {given})")]
    ResultDiffers {
        /// The epoch.
        epoch: UtcDay,
        /// The digest of its result.
        recorded: Digest,
        /// The digest of what was computed.
        given: Digest,
    },
    /// Stored rows no longer have the digest that was recorded with them.
    #[error("the stored {what} of the dividends of {day} were changed: {derived}, recorded is {recorded}")]
    CorruptEpoch {
        /// The epoch.
        day: UtcDay,
        /// Inputs or result.
        what: &'static str,
        /// The recorded digest.
        recorded: Digest,
        /// The digest of what is stored.
        derived: Digest,
    },
    /// A holding was recorded with other units.
    #[error("what {holder} holds of {work} from {valid_from} on is recorded with other units")]
    HoldingDiffers {
        /// The work.
        work: WorkId,
        /// The holder.
        holder: Address,
        /// From when on.
        valid_from: DateTime<Utc>,
    },
    /// More changes than one call records.
    #[error("{count} holdings are too many at once; record at most {most}")]
    TooManyHoldings {
        /// How many were given.
        count: usize,
        /// The limit.
        most: usize,
    },
    /// A stored row that the constraints should have made impossible.
    #[error("a row of monetization.{table} for {row} cannot be read")]
    CorruptRow {
        /// The table.
        table: &'static str,
        /// Which row.
        row: String,
    },
    /// The ledger refused.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The object store, or a file, refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The database failed.
    #[error("the database failed in schema monetization")]
    Database(#[from] sqlx::Error),
}

fn more(count: u64) -> String {
    match count {
        0 | 1 => String::new(),
        count => format!(" (and {} more rows are wrong; `tale revenue check` lists them)", count - 1),
    }
}

impl MonetizationError {
    /// Whether trying again may succeed where nothing else has changed: the database failed, whichever crate asked it, or
    /// another epoch was quicker, and the next attempt gathers what that one has left.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(_) | Self::EventsMoved { .. } => true,
            Self::Ledger(error) => error.is_transient(),
            _ => false,
        }
    }

    /// Gives a violated constraint of the events its meaning.
    pub(crate) fn of_events(error: sqlx::Error, epoch: UtcDay) -> Self {
        let is_counted = error.as_database_error().and_then(|e| e.constraint()) == Some("revenue_event_pkey");
        if is_counted { Self::EventsMoved { epoch } } else { Self::Database(error) }
    }
}
