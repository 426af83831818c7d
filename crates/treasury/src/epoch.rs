use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tale_ledger::{Asset, JournalId};
use tale_primitives::{Address, Amount, Digest, UtcDay};

use crate::{MerkleHash, TreasuryError};

/// How far an epoch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EpochState {
    /// Its inputs are fixed.
    Sealed,
    /// Its result is recorded.
    Computed,
    /// Its journal is in the ledger.
    Posted,
    /// Its root is stored.
    Published,
    /// The time for disputes has passed, and nobody held it.
    Final,
}

impl EpochState {
    /// The state as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Computed => "computed",
            Self::Posted => "posted",
            Self::Published => "published",
            Self::Final => "final",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Sealed, Self::Computed, Self::Posted, Self::Published, Self::Final]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

impl fmt::Display for EpochState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One settled UTC day. A day that was never sealed is open and has no epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Epoch {
    /// The day.
    pub day: UtcDay,
    /// How far it has come.
    pub state: EpochState,
    /// The version of the ruleset that computes it.
    pub ruleset: u32,
    /// The digest of that ruleset.
    pub ruleset_digest: Digest,
    /// The digest of its sealed inputs.
    pub inputs_digest: Digest,
    /// The digest of its result; from `computed` on, as the fields below it.
    pub result_digest: Option<Digest>,
    /// What the ledger calls the rewards.
    pub asset: Option<Asset>,
    /// The token's address in the claims tree.
    pub token: Option<Address>,
    /// What the day emits.
    pub pool: Option<Amount>,
    /// The part that owners earned, before they repay.
    pub paid: Option<Amount>,
    /// What of that repays over-payments; nothing before `computed`.
    pub repaid: Amount,
    /// The part that nobody earned, or may receive.
    pub carried: Option<Amount>,
    /// The ledger's journal; from `posted` on.
    pub journal_id: Option<JournalId>,
    /// The head of the ledger's chain after posting.
    pub chain_head: Option<Digest>,
    /// What the second computation came to; nothing under ruleset 1.
    pub checked_digest: Option<Digest>,
    /// Accounts in the claims tree; from `published` on.
    pub leaf_count: Option<u64>,
    /// The root of the claims tree; from `published` on, unless nobody ever earned anything.
    pub root: Option<MerkleHash>,
    /// The digest of its manifest; from `published` on.
    pub manifest_digest: Option<Digest>,
    /// Why it is held, if it or an earlier day is.
    pub held: Option<String>,
    /// When it was sealed.
    pub sealed_at: DateTime<Utc>,
    /// When its result was recorded.
    pub computed_at: Option<DateTime<Utc>>,
    /// When its journal was posted.
    pub posted_at: Option<DateTime<Utc>>,
    /// When its root was stored.
    pub published_at: Option<DateTime<Utc>>,
    /// When it became final.
    pub finalised_at: Option<DateTime<Utc>>,
}

/// The epoch of this day, if it is sealed.
pub async fn find_epoch(conn: &mut PgConnection, day: UtcDay) -> Result<Option<Epoch>, TreasuryError> {
    sqlx::query_file_as!(EpochRow, "../../sql/treasury/find_epoch.sql", day.date())
        .fetch_optional(conn)
        .await?
        .map(Epoch::try_from)
        .transpose()
}

/// Every epoch, by day.
pub async fn list_epochs(conn: &mut PgConnection) -> Result<Vec<Epoch>, TreasuryError> {
    sqlx::query_file_as!(EpochRow, "../../sql/treasury/list_epochs.sql")
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(Epoch::try_from)
        .collect()
}

/// The epoch of this day, which nobody else then moves until the transaction ends.
pub(crate) async fn lock_epoch(conn: &mut PgConnection, day: UtcDay) -> Result<Epoch, TreasuryError> {
    sqlx::query_file_as!(EpochRow, "../../sql/treasury/lock_epoch.sql", day.date())
        .fetch_optional(conn)
        .await?
        .ok_or(TreasuryError::NotSealed(day))?
        .try_into()
}

pub(crate) fn corrupt(table: &'static str, row: impl fmt::Display) -> TreasuryError {
    TreasuryError::CorruptRow { table, row: row.to_string() }
}

pub(crate) fn address(
    bytes: &[u8],
    table: &'static str,
    row: impl fmt::Display,
) -> Result<Address, TreasuryError> {
    bytes.try_into().map(Address::from_bytes).map_err(|_| corrupt(table, row))
}

pub(crate) fn digest_of_bytes(
    bytes: &[u8],
    table: &'static str,
    row: impl fmt::Display,
) -> Result<Digest, TreasuryError> {
    bytes.try_into().map(Digest::from_bytes).map_err(|_| corrupt(table, row))
}

struct EpochRow {
    day: NaiveDate,
    state: String,
    ruleset: i32,
    ruleset_digest: Vec<u8>,
    inputs_digest: Vec<u8>,
    result_digest: Option<Vec<u8>>,
    asset: Option<String>,
    token: Option<Vec<u8>>,
    pool: Option<String>,
    paid: Option<String>,
    repaid: String,
    carried: Option<String>,
    journal_id: Option<i64>,
    chain_head: Option<Vec<u8>>,
    checked_digest: Option<Vec<u8>>,
    leaf_count: Option<i64>,
    root: Option<Vec<u8>>,
    manifest_digest: Option<Vec<u8>>,
    held: Option<String>,
    sealed_at: DateTime<Utc>,
    computed_at: Option<DateTime<Utc>>,
    posted_at: Option<DateTime<Utc>>,
    published_at: Option<DateTime<Utc>>,
    finalised_at: Option<DateTime<Utc>>,
}

impl TryFrom<EpochRow> for Epoch {
    type Error = TreasuryError;

    fn try_from(row: EpochRow) -> Result<Self, TreasuryError> {
        let day = UtcDay::from_date(row.day);
        let unreadable = || corrupt("epoch", day);
        let digest = |bytes: &Vec<u8>| digest_of_bytes(bytes, "epoch", day);
        let amount = |text: Option<String>| text.map(|t| t.parse().map_err(|_| unreadable())).transpose();
        let root = |bytes: Vec<u8>| bytes.try_into().map(MerkleHash::from_bytes).map_err(|_| unreadable());
        Ok(Self {
            day,
            state: EpochState::parse(&row.state).ok_or_else(unreadable)?,
            ruleset: row.ruleset.try_into().map_err(|_| unreadable())?,
            ruleset_digest: digest(&row.ruleset_digest)?,
            inputs_digest: digest(&row.inputs_digest)?,
            result_digest: row.result_digest.as_ref().map(digest).transpose()?,
            asset: row.asset.map(|asset| asset.parse()).transpose()?,
            token: row.token.map(|token| address(&token, "epoch", day)).transpose()?,
            pool: amount(row.pool)?,
            paid: amount(row.paid)?,
            repaid: row.repaid.parse().map_err(|_| unreadable())?,
            carried: amount(row.carried)?,
            journal_id: row.journal_id.map(JournalId::from_raw),
            chain_head: row.chain_head.as_ref().map(digest).transpose()?,
            checked_digest: row.checked_digest.as_ref().map(digest).transpose()?,
            leaf_count: row.leaf_count.map(|n| n.try_into().map_err(|_| unreadable())).transpose()?,
            root: row.root.map(root).transpose()?,
            manifest_digest: row.manifest_digest.as_ref().map(digest).transpose()?,
            held: row.held,
            sealed_at: row.sealed_at,
            computed_at: row.computed_at,
            posted_at: row.posted_at,
            published_at: row.published_at,
            finalised_at: row.finalised_at,
        })
    }
}
