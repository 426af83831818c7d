use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tale_ledger::{Asset, JournalId};
use tale_primitives::{Address, Amount, Digest, GeneratorId, UtcDay};

use crate::{Contribution, EpochResult, MerkleHash, Reward, SealedInputs, TreasuryError};

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
}

impl EpochState {
    /// The state as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Computed => "computed",
            Self::Posted => "posted",
            Self::Published => "published",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Sealed, Self::Computed, Self::Posted, Self::Published]
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
    /// The part that owners earned.
    pub paid: Option<Amount>,
    /// The part that nobody earned.
    pub carried: Option<Amount>,
    /// The ledger's journal; from `posted` on.
    pub journal_id: Option<JournalId>,
    /// Accounts in the claims tree; from `published` on.
    pub leaf_count: Option<u64>,
    /// The root of the claims tree; from `published` on, unless nobody ever earned anything.
    pub root: Option<MerkleHash>,
    /// When it was sealed.
    pub sealed_at: DateTime<Utc>,
    /// When its result was recorded.
    pub computed_at: Option<DateTime<Utc>>,
    /// When its journal was posted.
    pub posted_at: Option<DateTime<Utc>>,
    /// When its root was stored.
    pub published_at: Option<DateTime<Utc>>,
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

/// The inputs with which this day was sealed, if it is.
pub async fn load_inputs(
    conn: &mut PgConnection,
    day: UtcDay,
) -> Result<Option<SealedInputs>, TreasuryError> {
    let Some(epoch) = find_epoch(conn, day).await? else { return Ok(None) };
    let contributions = sqlx::query_file!("../../sql/treasury/list_sealed_inputs.sql", day.date())
        .fetch_all(&mut *conn)
        .await?
        .into_iter()
        .map(|row| {
            Ok(Contribution {
                generator: GeneratorId::from_raw(row.generator_id),
                owner: address(&row.owner, "sealed_input", day)?,
                points: row.points,
            })
        })
        .collect::<Result<_, TreasuryError>>()?;
    let sources = sqlx::query_file_scalar!("../../sql/treasury/list_settled_sources.sql", day.date())
        .fetch_all(conn)
        .await?;
    Ok(Some(SealedInputs::new(day, epoch.ruleset, contributions)?.with_sources(sources)))
}

/// The result of this day, if it is computed; stored rewards that no longer have its digest are an error.
pub async fn load_result(conn: &mut PgConnection, day: UtcDay) -> Result<Option<EpochResult>, TreasuryError> {
    let Some(epoch) = find_epoch(conn, day).await? else { return Ok(None) };
    let Epoch {
        result_digest: Some(recorded),
        asset: Some(asset),
        token: Some(token),
        pool: Some(pool),
        paid: Some(paid),
        carried: Some(carried),
        ..
    } = epoch
    else {
        return Ok(None);
    };
    let rewards = sqlx::query_file!("../../sql/treasury/list_rewards.sql", day.date())
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(|row| {
            Ok(Reward {
                owner: address(&row.owner, "reward", day)?,
                points: row.points,
                amount: row.amount.parse().map_err(|_| corrupt("reward", day))?,
            })
        })
        .collect::<Result<_, TreasuryError>>()?;
    let result = EpochResult {
        epoch: day,
        ruleset: epoch.ruleset,
        inputs_digest: epoch.inputs_digest,
        asset,
        token,
        pool,
        paid,
        carried,
        rewards,
    };
    let derived = result.digest()?;
    if derived == recorded {
        Ok(Some(result))
    } else {
        Err(TreasuryError::CorruptResult { epoch: day, recorded, derived })
    }
}

fn corrupt(table: &'static str, row: impl fmt::Display) -> TreasuryError {
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
    inputs_digest: Vec<u8>,
    result_digest: Option<Vec<u8>>,
    asset: Option<String>,
    token: Option<Vec<u8>>,
    pool: Option<String>,
    paid: Option<String>,
    carried: Option<String>,
    journal_id: Option<i64>,
    leaf_count: Option<i64>,
    root: Option<Vec<u8>>,
    sealed_at: DateTime<Utc>,
    computed_at: Option<DateTime<Utc>>,
    posted_at: Option<DateTime<Utc>>,
    published_at: Option<DateTime<Utc>>,
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
            inputs_digest: digest(&row.inputs_digest)?,
            result_digest: row.result_digest.as_ref().map(digest).transpose()?,
            asset: row.asset.map(|asset| asset.parse()).transpose()?,
            token: row.token.map(|token| address(&token, "epoch", day)).transpose()?,
            pool: amount(row.pool)?,
            paid: amount(row.paid)?,
            carried: amount(row.carried)?,
            journal_id: row.journal_id.map(JournalId::from_raw),
            leaf_count: row.leaf_count.map(|n| n.try_into().map_err(|_| unreadable())).transpose()?,
            root: row.root.map(root).transpose()?,
            sealed_at: row.sealed_at,
            computed_at: row.computed_at,
            posted_at: row.posted_at,
            published_at: row.published_at,
        })
    }
}
