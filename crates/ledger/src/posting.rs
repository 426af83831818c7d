use sqlx::{Connection, PgConnection};
use tale_primitives::{Digest, UtcDay};

use crate::{
    Event, JournalId, LedgerError, NewHold, NewJournal, NewLimit,
    content::{self, CanonicalEntry},
    hold,
};

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
    append(conn, Link::of_journal(journal)?).await
}

/// What is to be the next link of the chain.
pub(crate) struct Link<'a> {
    pub(crate) key: &'a str,
    pub(crate) digest: Digest,
    pub(crate) insertion: Insertion<'a>,
}

/// The rows of a link.
pub(crate) enum Insertion<'a> {
    Entries(Entries<'a>),
    Hold(&'a NewHold),
    Limit(&'a NewLimit),
}

/// A journal's row and its entries, where it has some.
pub(crate) struct Entries<'a> {
    pub(crate) event: Event,
    pub(crate) epoch: Option<UtcDay>,
    pub(crate) description: &'a str,
    /// The hold that this ends.
    pub(crate) hold_id: Option<JournalId>,
    /// How many links before this one it seals as a batch.
    pub(crate) member_count: Option<i32>,
    pub(crate) lines: Vec<CanonicalEntry>,
}

impl<'a> Link<'a> {
    pub(crate) fn of_journal(journal: &'a NewJournal) -> Result<Self, LedgerError> {
        let (lines, digest) = content::of_journal(journal)?;
        let entries = Entries {
            event: Event::Journal,
            epoch: journal.epoch,
            description: &journal.description,
            hold_id: None,
            member_count: None,
            lines,
        };
        Ok(Self { key: &journal.key, digest, insertion: Insertion::Entries(entries) })
    }
}

/// Appends a link, unless its key is known.
pub(crate) async fn append(conn: &mut PgConnection, link: Link<'_>) -> Result<Posted, LedgerError> {
    // Without the lock first: a repetition waits for nobody.
    if let Some(posted) = find_posted(conn, link.key, &link.digest).await? {
        return Ok(posted);
    }
    // A savepoint inside the caller's transaction, so that the lock outlives each statement either way.
    let mut transaction = conn.begin().await?;
    lock_head(&mut transaction).await?;
    if let Some(posted) = find_posted(&mut transaction, link.key, &link.digest).await? {
        return Ok(posted);
    }
    let key = link.key;
    if let Insertion::Entries(Entries { event, hold_id: Some(hold_id), .. }) = &link.insertion {
        hold::check_open(&mut transaction, key, *hold_id, *event).await?;
    }
    let journal_id =
        insert(&mut transaction, link).await.map_err(|error| LedgerError::of_posting(error, key))?;
    transaction.commit().await?;
    Ok(Posted { journal_id, already_posted: false })
}

/// Waits until no other poster is on its way, and keeps them waiting until the transaction ends.
pub(crate) async fn lock_head(conn: &mut PgConnection) -> Result<(), LedgerError> {
    sqlx::query_file!("../../sql/ledger/lock_chain_head.sql").fetch_one(conn).await?;
    Ok(())
}

/// The journal that has this key already; with other content, it is an error.
pub(crate) async fn find_posted(
    conn: &mut PgConnection,
    key: &str,
    given: &Digest,
) -> Result<Option<Posted>, LedgerError> {
    let Some(row) =
        sqlx::query_file!("../../sql/ledger/find_journal_by_key.sql", key).fetch_optional(conn).await?
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
        key: key.to_owned(),
        journal_id,
        recorded: Digest::from_bytes(recorded),
        given: *given,
    })
}

async fn insert(conn: &mut PgConnection, link: Link<'_>) -> Result<JournalId, sqlx::Error> {
    let Link { key, digest, insertion } = link;
    let digest = digest.as_bytes().as_slice();
    let id = match insertion {
        Insertion::Entries(entries) => insert_entries(conn, key, digest, entries).await?,
        Insertion::Hold(hold) => {
            let accounts = [hold.debit.to_string(), hold.credit.to_string()];
            open_accounts(conn, &accounts).await?;
            sqlx::query_file_scalar!(
                "../../sql/ledger/insert_hold.sql",
                key,
                hold.description,
                digest,
                accounts[0],
                accounts[1],
                hold.amount.to_string(),
                hold.expires_at
            )
            .fetch_one(conn)
            .await?
        }
        Insertion::Limit(limit) => {
            let account = limit.account.to_string();
            open_accounts(conn, std::slice::from_ref(&account)).await?;
            sqlx::query_file_scalar!(
                "../../sql/ledger/insert_limit.sql",
                key,
                limit.description,
                digest,
                account,
                limit.floor.map(|amount| amount.to_string()),
                limit.ceiling.map(|amount| amount.to_string())
            )
            .fetch_one(conn)
            .await?
        }
    };
    Ok(JournalId::from_raw(id))
}

async fn insert_entries(
    conn: &mut PgConnection,
    key: &str,
    digest: &[u8],
    entries: Entries<'_>,
) -> Result<i64, sqlx::Error> {
    let count = entries.lines.len();
    let mut accounts = Vec::with_capacity(count);
    let mut debits = Vec::with_capacity(count);
    let mut amounts = Vec::with_capacity(count);
    for line in entries.lines {
        accounts.push(line.account);
        debits.push(line.side == crate::Side::Debit);
        amounts.push(line.amount);
    }
    if entries.event == Event::Journal {
        open_accounts(conn, &accounts).await?;
    }
    sqlx::query_file_scalar!(
        "../../sql/ledger/insert_journal.sql",
        key,
        entries.event.as_str(),
        entries.hold_id.map(JournalId::raw),
        entries.member_count,
        entries.epoch.map(|day| day.date()),
        entries.description,
        digest,
        &accounts,
        &debits,
        &amounts
    )
    .fetch_one(conn)
    .await
}

async fn open_accounts(conn: &mut PgConnection, keys: &[String]) -> Result<(), sqlx::Error> {
    sqlx::query_file!("../../sql/ledger/open_accounts.sql", keys).execute(conn).await?;
    Ok(())
}
