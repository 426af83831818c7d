use sqlx::postgres::PgDatabaseError;
use tale_primitives::{Amount, Digest};

use crate::{AccountKey, Asset, Event, JournalId};

/// Why the ledger refused something.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A text that names no asset.
    #[error("{0:?} is not an asset: expected a letter, then up to 15 letters and digits")]
    NotAnAsset(String),
    /// A text that names no account.
    #[error("{0:?} is not an account: expected kind:name:asset, such as pool:generator:xTALE")]
    NotAnAccount(String),
    /// A text that names no link of the chain.
    #[error("{0:?} is not a head of the chain: expected journal:digest, the digest in 64 hexadecimal digits")]
    NotAChainHead(String),
    /// A key that is empty or longer than the ledger keeps.
    #[error("the key of a journal has 1 to 200 characters, this one has {0}")]
    KeyLength(usize),
    /// The key belongs to a journal with other content: a mistake of the poster, never a repetition.
    #[error("journal {journal_id} has the key {key} with other content ({recorded}, not {given})")]
    KeyReused {
        /// The key.
        key: String,
        /// The journal that has it.
        journal_id: JournalId,
        /// The digest of what was posted.
        recorded: Digest,
        /// The digest of what was to be posted.
        given: Digest,
    },
    /// A journal moves something from somewhere to somewhere.
    #[error("journal {key} has {count} entries, and needs two")]
    TooFewEntries {
        /// The key of the journal.
        key: String,
        /// How many entries it has.
        count: usize,
    },
    /// An entry that moves nothing.
    #[error("journal {key} has an entry of nothing on {account}")]
    ZeroAmount {
        /// The key of the journal.
        key: String,
        /// The account of the entry.
        account: AccountKey,
    },
    /// Debits and credits differ.
    #[error("journal {key} does not balance in {asset}")]
    Unbalanced {
        /// The key of the journal.
        key: String,
        /// The asset in which they differ.
        asset: Asset,
    },
    /// A sum needs more than 256 bits.
    #[error("journal {key} takes a sum of {asset} beyond 256 bits")]
    Overflow {
        /// The key of the journal.
        key: String,
        /// The asset of the sum.
        asset: Asset,
    },
    /// An account would have less than nothing available on its normal side.
    #[error("journal {key} would overdraw {account}")]
    Overdrawn {
        /// The key of the journal.
        key: String,
        /// The account.
        account: String,
    },
    /// An account would have less available than its limit's floor.
    #[error("journal {key} would take {account} below its floor")]
    BelowFloor {
        /// The key of the journal.
        key: String,
        /// The account.
        account: String,
    },
    /// An account would hold, with what is pending, more than its limit's ceiling.
    #[error("journal {key} would take {account} above its ceiling")]
    AboveCeiling {
        /// The key of the journal.
        key: String,
        /// The account.
        account: String,
    },
    /// A floor above the ceiling.
    #[error("limit {key} has its floor {floor} above its ceiling {ceiling}")]
    LimitOrder {
        /// The key of the limit.
        key: String,
        /// The floor.
        floor: Amount,
        /// The ceiling.
        ceiling: Amount,
    },
    /// Nobody has registered the asset.
    #[error("journal {key} counts {asset}, which is not registered")]
    UnknownAsset {
        /// The key of the journal.
        key: String,
        /// The asset.
        asset: String,
    },
    /// The asset is registered with other decimals.
    #[error("{asset} is registered already, with other decimals than {decimals}")]
    AssetDiffers {
        /// The asset.
        asset: Asset,
        /// The decimals that it was to have.
        decimals: u8,
    },
    /// More decimal places than an asset has.
    #[error("{asset} cannot have {decimals} decimals: 36 are the most")]
    AssetDecimals {
        /// The asset.
        asset: Asset,
        /// The decimals that it was to have.
        decimals: u8,
    },
    /// A hold moves something between two accounts of one asset.
    #[error("hold {key} is not between two accounts of one asset: {debit}, {credit}")]
    HoldAccounts {
        /// The key of the hold.
        key: String,
        /// The account to debit.
        debit: String,
        /// The account to credit.
        credit: String,
    },
    /// A hold that would be over before it begins.
    #[error("hold {key} would expire before it opens")]
    HoldExpiresEarly {
        /// The key of the hold.
        key: String,
    },
    /// There is no such hold to end.
    #[error("{key} is to end the hold {hold}, which does not exist")]
    NoHold {
        /// The key of the ending.
        key: String,
        /// The key of the hold.
        hold: String,
    },
    /// More than is held, or nothing, was to be posted.
    #[error("{key} is to post {amount} of the hold {hold}, which holds {held}")]
    HoldAmount {
        /// The key of the ending.
        key: String,
        /// The key of the hold.
        hold: String,
        /// What it reserves.
        held: Amount,
        /// What was to be posted.
        amount: Amount,
    },
    /// A hold ends once.
    #[error("{key} comes too late: journal {by} has ended the hold {hold} ({how})")]
    HoldEnded {
        /// The key of the ending.
        key: String,
        /// The key of the hold.
        hold: String,
        /// How it ended.
        how: Event,
        /// The journal that ended it.
        by: JournalId,
    },
    /// The hold's time was over, whether or not what it reserved is free again.
    #[error("{key} comes too late: the hold {hold} has expired")]
    HoldExpired {
        /// The key of the ending.
        key: String,
        /// The key of the hold.
        hold: String,
    },
    /// A batch of nothing, or of too much.
    #[error("the batch {key} has {count} operations: it takes 1 to 10000")]
    BatchSize {
        /// The key of the batch.
        key: String,
        /// How many operations it has.
        count: usize,
    },
    /// One operation failed, and with it all of its batch.
    #[error("nothing of the batch {batch} was posted: operation {place} ({key}) failed")]
    BatchRefused {
        /// The key of the batch.
        batch: String,
        /// Which of its operations failed, from 1.
        place: usize,
        /// The key of that operation.
        key: String,
        /// Why it failed.
        #[source]
        source: Box<LedgerError>,
    },
    /// A member of a new batch was posted on its own before.
    #[error("{key} was posted as journal {journal_id} already, outside this batch")]
    MemberPosted {
        /// The key of the operation.
        key: String,
        /// The journal that has it.
        journal_id: JournalId,
    },
    /// There is no such journal to look back to.
    #[error("there is no journal {journal_id}: the last is {last}")]
    NoJournal {
        /// The journal that was asked for.
        journal_id: JournalId,
        /// The last one.
        last: JournalId,
    },
    /// Another law of the ledger, by the name of its constraint.
    #[error("journal {key} breaks the law {constraint}")]
    Refused {
        /// The key of the journal.
        key: String,
        /// The constraint.
        constraint: String,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// A stored row that the constraints should have made impossible.
    #[error("the row {row} of ledger.{table} cannot be read")]
    CorruptRow {
        /// The table.
        table: &'static str,
        /// The key of the row.
        row: String,
    },
    /// The database failed.
    #[error("the ledger cannot be reached")]
    Database(#[from] sqlx::Error),
}

impl LedgerError {
    /// Whether the same call may succeed later: the database failed, if only at a member of a batch.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(_) => true,
            Self::BatchRefused { source, .. } => source.is_transient(),
            _ => false,
        }
    }

    /// Gives a violated constraint its meaning.
    pub(crate) fn of_posting(error: sqlx::Error, key: &str) -> Self {
        let database = error.as_database_error().and_then(|e| e.try_downcast_ref::<PgDatabaseError>());
        let Some((constraint, detail)) = database.and_then(|e| Some((e.constraint()?, e.detail()))) else {
            return Self::Database(error);
        };
        let key = key.to_owned();
        match (constraint, detail) {
            ("balance_not_overdrawn", Some(account)) => Self::Overdrawn { key, account: account.to_owned() },
            ("balance_above_floor", Some(account)) => Self::BelowFloor { key, account: account.to_owned() },
            ("balance_below_ceiling", Some(account)) => {
                Self::AboveCeiling { key, account: account.to_owned() }
            }
            ("account_asset_known", Some(asset)) => Self::UnknownAsset { key, asset: asset.to_owned() },
            ("hold_expires_later", _) => Self::HoldExpiresEarly { key },
            ("hold_not_expired", Some(hold)) => Self::HoldExpired { key, hold: hold.to_owned() },
            (constraint, _) => Self::Refused { key, constraint: constraint.to_owned(), source: error },
        }
    }
}
