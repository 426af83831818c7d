mod discrepancy;
mod walk;

use futures::TryStreamExt;
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use tale_primitives::Digest;

pub use self::discrepancy::Discrepancy;
use self::walk::{EntryRow, LinkRow, Walk};
use crate::{ChainHead, JournalId, LedgerError};

/// What an audit of the whole ledger found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// How many links of the chain were checked: journals and other events.
    pub journals: u64,
    /// How many entries were checked.
    pub entries: u64,
    /// How many accounts were checked.
    pub accounts: u64,
    /// How many assets are registered.
    pub assets: u64,
    /// How many holds were checked.
    pub holds: u64,
    /// How many of them are open.
    pub open_holds: u64,
    /// The end of the hash chain, as derived.
    pub head: Digest,
    /// Everything that is wrong: first the journals in order, then holds, then accounts by key.
    pub discrepancies: Vec<Discrepancy>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_consistent(&self) -> bool {
        self.discrepancies.is_empty()
    }
}

/// How far an audit has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyProgress {
    /// It walks along the chain.
    Chain {
        /// How many links it has checked.
        journals: u64,
        /// How many entries it has checked.
        entries: u64,
    },
    /// It adds up what accounts and holds must have.
    Accounts,
}

/// Links that are read at a time.
const PAGE: i64 = 1_000;
/// How many entries pass between two words on how far it is.
const PROGRESS_ENTRIES: u64 = 20_000;

/// Derives every balance, every digest and the whole hash chain again from the entries, and names what differs.
///
/// It sees one state, while postings go on; inside a transaction of the caller's, postings wait instead. Memory does
/// not grow with the ledger.
pub async fn verify(conn: &mut PgConnection) -> Result<VerifyReport, LedgerError> {
    verify_against(conn, &[], &mut |_| ()).await
}

/// [`verify`], which also holds the chain against heads that were kept outside the database, and says how far it is.
pub async fn verify_against(
    conn: &mut PgConnection,
    kept: &[ChainHead],
    progress: &mut (dyn FnMut(VerifyProgress) + Send),
) -> Result<VerifyReport, LedgerError> {
    let is_alone = !conn.is_in_transaction();
    let mut transaction = match is_alone {
        true => conn.begin_with("begin transaction isolation level repeatable read read only").await?,
        false => conn.begin().await?,
    };
    let conn = &mut *transaction;
    if !is_alone {
        sqlx::query_file!("../../sql/ledger/lock_chain_head.sql").fetch_one(&mut *conn).await?;
    }
    let head = sqlx::query_file!("../../sql/ledger/find_chain_head.sql").fetch_one(&mut *conn).await?;
    let mut walk = Walk::new(kept);
    walk_chain(conn, &mut walk, progress).await?;
    walk.finish(JournalId::from_raw(head.journal_id), &head.chain_digest);
    progress(VerifyProgress::Accounts);
    let mut discrepancies = std::mem::take(&mut walk.discrepancies);
    check_holds(conn, &mut discrepancies).await?;
    check_accounts(conn, &mut discrepancies).await?;
    let counts = sqlx::query_file!("../../sql/ledger/count_rows.sql").fetch_one(&mut *conn).await?;
    transaction.rollback().await?;
    Ok(VerifyReport {
        journals: walk.journals,
        entries: walk.entries,
        accounts: counts.accounts.unsigned_abs(),
        assets: counts.assets.unsigned_abs(),
        holds: counts.holds.unsigned_abs(),
        open_holds: counts.open_holds.unsigned_abs(),
        head: walk.last().chain_digest,
        discrepancies,
    })
}

async fn walk_chain(
    conn: &mut PgConnection,
    walk: &mut Walk,
    progress: &mut (dyn FnMut(VerifyProgress) + Send),
) -> Result<(), LedgerError> {
    let mut after = 0;
    loop {
        let links: Vec<LinkRow> =
            sqlx::query_file_as!(LinkRow, "../../sql/ledger/list_links.sql", after, PAGE)
                .fetch_all(&mut *conn)
                .await?;
        // Beyond the last link there may be entries that belong to nothing.
        let is_last = links.len() < PAGE as usize;
        let upto = links.last().filter(|_| !is_last).map_or(i64::MAX, |link| link.id);
        walk.page(links);
        let mut entries =
            sqlx::query_file!("../../sql/ledger/stream_entries.sql", after, upto).fetch(&mut *conn);
        while let Some(row) = entries.try_next().await? {
            walk.entry(&EntryRow {
                journal_id: row.journal_id,
                line: row.line,
                account: row.account.as_deref(),
                side: &row.side,
                amount: &row.amount,
            });
            if walk.entries.is_multiple_of(PROGRESS_ENTRIES) {
                progress(VerifyProgress::Chain { journals: walk.journals, entries: walk.entries });
            }
        }
        walk.end_page();
        progress(VerifyProgress::Chain { journals: walk.journals, entries: walk.entries });
        if is_last {
            return Ok(());
        }
        after = upto;
    }
}

async fn check_holds(conn: &mut PgConnection, found: &mut Vec<Discrepancy>) -> Result<(), LedgerError> {
    let wrong = sqlx::query_file!("../../sql/ledger/list_wrong_holds.sql").fetch_all(conn).await?;
    for row in wrong {
        let id = JournalId::from_raw(row.id);
        let recorded = row.ended_by.map(JournalId::from_raw);
        let derived = row.derived_end.map(JournalId::from_raw);
        if recorded != derived {
            found.push(Discrepancy::HoldEnd { id, recorded, derived });
        }
        if !row.has_opened || row.has_moved_else {
            found.push(Discrepancy::HoldContent { id });
        }
    }
    Ok(())
}

async fn check_accounts(conn: &mut PgConnection, found: &mut Vec<Discrepancy>) -> Result<(), LedgerError> {
    let mut wrong = sqlx::query_file!("../../sql/ledger/list_wrong_accounts.sql").fetch(conn);
    while let Some(row) = wrong.try_next().await? {
        let account = || row.key.clone();
        if (&row.debits, &row.credits) != (&row.derived_debits, &row.derived_credits) {
            found.push(Discrepancy::AccountBalance {
                account: account(),
                debits: row.debits.clone(),
                credits: row.credits.clone(),
                derived_debits: row.derived_debits.clone(),
                derived_credits: row.derived_credits.clone(),
            });
        }
        if (&row.pending_debits, &row.pending_credits)
            != (&row.derived_pending_debits, &row.derived_pending_credits)
        {
            found.push(Discrepancy::AccountPending {
                account: account(),
                debits: row.pending_debits.clone(),
                credits: row.pending_credits.clone(),
                derived_debits: row.derived_pending_debits.clone(),
                derived_credits: row.derived_pending_credits.clone(),
            });
        }
        if row.has_other_limits {
            found.push(Discrepancy::AccountLimits { account: account() });
        }
        if row.breaks_law {
            found.push(Discrepancy::AccountBeyond { account: account() });
        }
        if !row.has_asset {
            found.push(Discrepancy::AssetUnknown { account: account() });
        }
    }
    Ok(())
}
