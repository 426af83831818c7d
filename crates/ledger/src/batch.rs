use sqlx::{Connection, PgConnection};
use tale_primitives::Digest;

use crate::{
    Event, HoldEnd, JournalId, LedgerError, NewHold, NewJournal, NewLimit, Posted,
    content::{self, ContentHasher, Header},
    hold::find_hold,
    posting::{Entries, Insertion, Link, append, find_posted, lock_head},
};

/// The most operations in a batch.
pub const BATCH_MEMBERS_MAX: usize = 10_000;

/// One member of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Posts a journal.
    Journal(NewJournal),
    /// Opens a hold.
    Hold(NewHold),
    /// Ends a hold, which an operation before it in the batch may have opened.
    HoldEnd(HoldEnd),
    /// Sets the limits of an account.
    Limit(NewLimit),
}

/// Operations that happen all or not at all, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// The idempotency key of the whole, another than the members'.
    pub key: String,
    /// Why, for people.
    pub description: String,
    /// What happens: at least one, at most [`BATCH_MEMBERS_MAX`].
    pub operations: Vec<Operation>,
}

/// The answer to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPosted {
    /// The first of its members' journals.
    pub first: JournalId,
    /// The last of them; those between are its own too.
    pub last: JournalId,
    /// The journal that seals the batch, right after them.
    pub sealed_by: JournalId,
    /// Whether an earlier call had posted it, so that this one changed nothing.
    pub already_posted: bool,
}

impl Operation {
    /// The operation's own idempotency key.
    pub fn key(&self) -> &str {
        match self {
            Self::Journal(journal) => &journal.key,
            Self::Hold(hold) => &hold.key,
            Self::HoldEnd(end) => &end.key,
            Self::Limit(limit) => &limit.key,
        }
    }
}

/// Posts all operations of a batch, or none of them.
///
/// The members' keys must be new, else the batch would not be one. Where a member fails, the error is
/// [`LedgerError::BatchRefused`], which names it, and the caller's transaction is as it was. The same batch again is the
/// first one; another under the same key is [`LedgerError::KeyReused`].
pub async fn post_batch(conn: &mut PgConnection, batch: &NewBatch) -> Result<BatchPosted, LedgerError> {
    content::check_key(&batch.key)?;
    let count = batch.operations.len();
    if !(1..=BATCH_MEMBERS_MAX).contains(&count) {
        return Err(LedgerError::BatchSize { key: batch.key.clone(), count });
    }
    let mut transaction = conn.begin().await?;
    // First of all, so that nothing comes between the members.
    lock_head(&mut transaction).await?;
    let mut hasher = ContentHasher::new(&Header::Batch {
        key: &batch.key,
        description: &batch.description,
        member_count: count,
    });
    let known = is_known(&mut transaction, &batch.key).await?;
    for (place, operation) in batch.operations.iter().enumerate() {
        let digest = match post_member(&mut transaction, operation, known).await {
            Ok(digest) => digest,
            Err(source) => {
                return Err(LedgerError::BatchRefused {
                    batch: batch.key.clone(),
                    place: place + 1,
                    key: operation.key().to_owned(),
                    source: Box::new(source),
                });
            }
        };
        hasher.member(&digest);
    }
    let entries = Entries {
        event: Event::Batch,
        epoch: None,
        description: &batch.description,
        hold_id: None,
        member_count: i32::try_from(count).ok(),
        lines: Vec::new(),
    };
    let seal = Link { key: &batch.key, digest: hasher.finish(), insertion: Insertion::Entries(entries) };
    let Posted { journal_id, already_posted } = append(&mut transaction, seal).await?;
    transaction.commit().await?;
    let before = |places: usize| JournalId::from_raw(journal_id.raw() - places as i64);
    Ok(BatchPosted { first: before(count), last: before(1), sealed_by: journal_id, already_posted })
}

async fn is_known(conn: &mut PgConnection, key: &str) -> Result<bool, LedgerError> {
    Ok(sqlx::query_file!("../../sql/ledger/find_journal_by_key.sql", key)
        .fetch_optional(conn)
        .await?
        .is_some())
}

/// Posts a member of a new batch; of a known one, only its content is wanted.
async fn post_member(
    conn: &mut PgConnection,
    operation: &Operation,
    is_batch_known: bool,
) -> Result<Digest, LedgerError> {
    let link = match operation {
        Operation::Journal(journal) => Link::of_journal(journal)?,
        Operation::Hold(hold) => Link::of_hold(hold)?,
        Operation::Limit(limit) => Link::of_limit(limit)?,
        Operation::HoldEnd(end) => {
            let hold = find_hold(conn, &end.hold)
                .await?
                .ok_or_else(|| LedgerError::NoHold { key: end.key.clone(), hold: end.hold.clone() })?;
            Link::of_hold_end(end, &hold)?
        }
    };
    let (key, digest) = (link.key, link.digest);
    if is_batch_known {
        return Ok(digest);
    }
    if let Some(Posted { journal_id, .. }) = find_posted(conn, key, &digest).await? {
        return Err(LedgerError::MemberPosted { key: key.to_owned(), journal_id });
    }
    append(conn, link).await?;
    Ok(digest)
}
