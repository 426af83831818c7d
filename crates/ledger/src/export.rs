use chrono::{DateTime, NaiveDate, Utc};
use futures::{Stream, StreamExt};
use sqlx::PgConnection;

use crate::JournalId;
use crate::LedgerError;

/// One entry with what its journal says, as text and integers: what an export writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedEntry {
    /// The journal.
    pub journal_id: i64,
    /// The journal's key.
    pub key: String,
    /// What the journal records: `journal`, or `post` for a posted hold.
    pub event: String,
    /// The UTC day that it settles, if it settles one.
    pub epoch: Option<NaiveDate>,
    /// When it took its place in the chain.
    pub posted_at: DateTime<Utc>,
    /// The entry's place in the journal, from 1.
    pub line: i32,
    /// The account that it moves.
    pub account: String,
    /// `debit` or `credit`.
    pub side: String,
    /// How much, in base units: up to 78 digits, more than a Parquet decimal has.
    pub amount: String,
}

/// Streams the entries of these journals, and of those between them, in the order of the chain.
///
/// Journals never change, so the same range is the same entries at any time.
pub fn export_entries(
    conn: &mut PgConnection,
    first: JournalId,
    last: JournalId,
) -> impl Stream<Item = Result<ExportedEntry, LedgerError>> + Send + '_ {
    sqlx::query_file_as!(ExportedEntry, "../../sql/ledger/export_entries.sql", first.raw(), last.raw())
        .fetch(conn)
        .map(|row| row.map_err(LedgerError::from))
}
