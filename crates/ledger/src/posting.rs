use sqlx::{Connection, PgConnection};
use tale_primitives::Digest;

use crate::{JournalId, LedgerError, NewJournal, content::Content};

/// The answer to a posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posted {
    /// The journal that has the key.
    pub journal_id: JournalId,
    /// Whether an earlier call had posted it, so that this one changed nothing.
    pub already_posted: bool,
}

/// Posts a journal with all of its entries in one statement, and opens the accounts that it is the first to use.
///
/// Posting the same content under the same key again returns the first journal; other content under that key is
/// [`LedgerError::KeyReused`]. A refused journal leaves the caller's transaction as it was.
///
/// Posters queue for the head of the hash chain until the transaction of the one before them ends, so post late
/// in a transaction.
pub async fn post_journal(conn: &mut PgConnection, journal: &NewJournal) -> Result<Posted, LedgerError> {
    let content = Content::of(journal)?;
    // Without the lock first: a repetition waits for nobody.
    if let Some(posted) = find_posted(conn, journal, &content.digest).await? {
        return Ok(posted);
    }
    // A savepoint inside the caller's transaction, so that the lock outlives each statement either way.
    let mut transaction = conn.begin().await?;
    sqlx::query_file!("../../sql/ledger/lock_chain_head.sql").fetch_one(&mut *transaction).await?;
    if let Some(posted) = find_posted(&mut transaction, journal, &content.digest).await? {
        return Ok(posted);
    }
    let journal_id = insert(&mut transaction, journal, &content)
        .await
        .map_err(|error| LedgerError::of_posting(error, &journal.key))?;
    transaction.commit().await?;
    Ok(Posted { journal_id, already_posted: false })
}

async fn find_posted(
    conn: &mut PgConnection,
    journal: &NewJournal,
    given: &Digest,
) -> Result<Option<Posted>, LedgerError> {
    let Some(row) = sqlx::query_file!("../../sql/ledger/find_journal_by_key.sql", journal.key)
        .fetch_optional(conn)
        .await?
    else {
        return Ok(None);
    };
    let journal_id = JournalId::from_raw(row.id);
    if row.content_digest == given.as_bytes() {
        return Ok(Some(Posted { journal_id, already_posted: true }));
    }
    let recorded = <[u8; 32]>::try_from(row.content_digest)
        .map_err(|_| LedgerError::CorruptRow { table: "journal", row: journal_id.to_string() })?;
    Err(LedgerError::KeyReused {
        key: journal.key.clone(),
        journal_id,
        recorded: Digest::from_bytes(recorded),
        given: *given,
    })
}

async fn insert(
    conn: &mut PgConnection,
    journal: &NewJournal,
    content: &Content<'_>,
) -> Result<JournalId, sqlx::Error> {
    let accounts = || content.entries.iter().map(|entry| entry.account);
    let kinds: Vec<String> = accounts().map(|account| account.kind().to_string()).collect();
    let names: Vec<String> = accounts().map(|account| account.name()).collect();
    let assets: Vec<String> = accounts().map(|account| account.asset().to_string()).collect();
    sqlx::query_file!("../../sql/ledger/open_accounts.sql", &kinds, &names, &assets)
        .execute(&mut *conn)
        .await?;

    let keys: Vec<String> = content.entries.iter().map(|entry| entry.text.clone()).collect();
    let sides: Vec<String> = content.entries.iter().map(|entry| entry.side.as_str().to_owned()).collect();
    let amounts: Vec<String> = content.entries.iter().map(|entry| entry.amount.to_string()).collect();
    let id = sqlx::query_file_scalar!(
        "../../sql/ledger/insert_journal.sql",
        journal.key,
        journal.epoch.map(|day| day.date()),
        journal.description,
        content.digest.as_bytes().as_slice(),
        &keys,
        &sides,
        &amounts
    )
    .fetch_one(conn)
    .await?;
    Ok(JournalId::from_raw(id))
}
