use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use tale_primitives::{Amount, Digest, UtcDay};

use crate::{
    AccountKey, AccountKind, Asset, Entry, Event, Journal, JournalId, JournalSummary, LedgerError, Side,
};

/// The running sums of one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// The account.
    pub account: AccountKey,
    /// The sum of its debits.
    pub debits: Amount,
    /// The sum of its credits.
    pub credits: Amount,
    /// The sum of the open holds that would debit it.
    pub pending_debits: Amount,
    /// The sum of the open holds that would credit it.
    pub pending_credits: Amount,
}

impl Balance {
    /// What the account holds on its normal side. The database keeps it from falling below zero.
    pub fn amount(&self) -> Amount {
        let difference = match self.account.kind().normal_side() {
            Side::Debit => self.debits.checked_sub(self.credits),
            Side::Credit => self.credits.checked_sub(self.debits),
        };
        difference.unwrap_or_default()
    }

    /// What of that no open hold reserves: what a posting may take. The database keeps it from falling below zero.
    pub fn available(&self) -> Amount {
        let pending = match self.account.kind().normal_side() {
            Side::Debit => self.pending_credits,
            Side::Credit => self.pending_debits,
        };
        self.amount().checked_sub(pending).unwrap_or_default()
    }

    /// The balance of an account that nobody has used.
    pub(crate) const fn nothing(account: AccountKey) -> Self {
        let nothing = Amount::ZERO;
        Self { account, debits: nothing, credits: nothing, pending_debits: nothing, pending_credits: nothing }
    }
}

/// Which balances to list; the default lists all.
#[derive(Debug, Clone, Default)]
pub struct BalanceFilter {
    /// Those of this kind alone.
    pub kind: Option<AccountKind>,
    /// Those in this asset alone.
    pub asset: Option<Asset>,
}

/// The balance of one account; an account that was never used holds nothing.
pub async fn balance(conn: &mut PgConnection, account: &AccountKey) -> Result<Balance, LedgerError> {
    let row = sqlx::query_file_as!(BalanceRow, "../../sql/ledger/find_balance.sql", account.to_string())
        .fetch_optional(conn)
        .await?;
    match row {
        Some(row) => row.try_into(),
        None => Ok(Balance::nothing(account.clone())),
    }
}

/// The balances that the filter lets through, ordered by key.
pub async fn balances(conn: &mut PgConnection, filter: &BalanceFilter) -> Result<Vec<Balance>, LedgerError> {
    let kind = filter.kind.map(AccountKind::as_str);
    let asset = filter.asset.as_ref().map(Asset::as_str);
    sqlx::query_file_as!(BalanceRow, "../../sql/ledger/list_balances.sql", kind, asset)
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(Balance::try_from)
        .collect()
}

/// The journal with this id and its entries, if there is one.
pub async fn journal(conn: &mut PgConnection, id: JournalId) -> Result<Option<Journal>, LedgerError> {
    let Some(row) = sqlx::query_file_as!(JournalRow, "../../sql/ledger/find_journal.sql", id.raw())
        .fetch_optional(&mut *conn)
        .await?
    else {
        return Ok(None);
    };
    let corrupt = || LedgerError::CorruptRow { table: "entry", row: format!("of journal {id}") };
    let entries = sqlx::query_file!("../../sql/ledger/list_journal_entries.sql", id.raw())
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(|row| {
            Ok(Entry {
                account: row.account.parse()?,
                side: Side::parse(&row.side).ok_or_else(corrupt)?,
                amount: row.amount.parse().map_err(|_| corrupt())?,
            })
        })
        .collect::<Result<_, LedgerError>>()?;
    Ok(Some(Journal { summary: row.try_into()?, entries }))
}

/// Every link of the chain without its entries, in their order.
pub async fn list_journals(conn: &mut PgConnection) -> Result<Vec<JournalSummary>, LedgerError> {
    sqlx::query_file_as!(JournalRow, "../../sql/ledger/list_journals.sql")
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(JournalSummary::try_from)
        .collect()
}

pub(crate) struct BalanceRow {
    pub(crate) key: String,
    pub(crate) debits: String,
    pub(crate) credits: String,
    pub(crate) pending_debits: String,
    pub(crate) pending_credits: String,
}

impl TryFrom<BalanceRow> for Balance {
    type Error = LedgerError;

    fn try_from(row: BalanceRow) -> Result<Self, LedgerError> {
        let corrupt = |_| LedgerError::CorruptRow { table: "account", row: row.key.clone() };
        Ok(Self {
            debits: row.debits.parse().map_err(corrupt)?,
            credits: row.credits.parse().map_err(corrupt)?,
            pending_debits: row.pending_debits.parse().map_err(corrupt)?,
            pending_credits: row.pending_credits.parse().map_err(corrupt)?,
            account: row.key.parse()?,
        })
    }
}

struct JournalRow {
    id: i64,
    event: String,
    key: String,
    epoch: Option<NaiveDate>,
    description: String,
    entry_count: i32,
    content_digest: Vec<u8>,
    chain_digest: Vec<u8>,
    posted_at: DateTime<Utc>,
}

impl TryFrom<JournalRow> for JournalSummary {
    type Error = LedgerError;

    fn try_from(row: JournalRow) -> Result<Self, LedgerError> {
        let corrupt = || LedgerError::CorruptRow { table: "journal", row: row.id.to_string() };
        let digest = |bytes: &[u8]| {
            bytes.try_into().map(Digest::from_bytes).map_err(|_: std::array::TryFromSliceError| corrupt())
        };
        Ok(Self {
            id: JournalId::from_raw(row.id),
            event: Event::parse(&row.event).ok_or_else(corrupt)?,
            epoch: row.epoch.map(UtcDay::from_date),
            entry_count: row.entry_count.try_into().map_err(|_| corrupt())?,
            content_digest: digest(&row.content_digest)?,
            chain_digest: digest(&row.chain_digest)?,
            posted_at: row.posted_at,
            key: row.key,
            description: row.description,
        })
    }
}
