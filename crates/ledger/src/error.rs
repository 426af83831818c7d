use sqlx::postgres::PgDatabaseError;
use tale_primitives::Digest;

use crate::{AccountKey, Asset, JournalId};

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
    /// An account would fall below zero on its normal side.
    #[error("journal {key} would overdraw {account}")]
    Overdrawn {
        /// The key of the journal.
        key: String,
        /// The account.
        account: String,
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
    /// Gives a violated constraint its meaning.
    pub(crate) fn of_posting(error: sqlx::Error, key: &str) -> Self {
        let database = error.as_database_error().and_then(|e| e.try_downcast_ref::<PgDatabaseError>());
        let Some((constraint, detail)) = database.and_then(|e| Some((e.constraint()?, e.detail()))) else {
            return Self::Database(error);
        };
        let key = key.to_owned();
        match (constraint, detail) {
            ("balance_not_overdrawn", Some(account)) => Self::Overdrawn { key, account: account.to_owned() },
            (constraint, _) => Self::Refused { key, constraint: constraint.to_owned(), source: error },
        }
    }
}
