use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tale_ledger::{Asset, JournalId};
use tale_primitives::{Address, Amount, UtcDay};

use super::Country;
use crate::TreasuryError;

/// One withdrawal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WithdrawalId(i64);

/// How far a withdrawal has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WithdrawalState {
    /// Its units wait, and it can be cancelled.
    Requested,
    /// Its time is over, and it is paid unless its account is denied.
    Matured,
    /// It was paid.
    Paid,
    /// Its units went back.
    Cancelled,
}

/// Where TALE go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Destination {
    /// To the holder's account in this ledger, from which they can be staked.
    Account,
    /// Out of this ledger: the holder claims them from a distributor.
    Chain,
}

/// A withdrawal as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Withdrawal {
    /// Its id.
    pub id: WithdrawalId,
    /// The key under which it was requested.
    pub key: String,
    /// Whose it is.
    pub account: Address,
    /// What is withdrawn: xTALE, or TALE of an account.
    pub asset: Asset,
    /// Where TALE go.
    pub destination: Destination,
    /// Where its owner says to be.
    pub country: Country,
    /// How far it has come.
    pub state: WithdrawalState,
    /// The version of the ruleset by which it was requested.
    pub ruleset: u32,
    /// What was taken from the account, in base units.
    pub gross: Amount,
    /// What is paid.
    pub net: Amount,
    /// What the treasury keeps.
    pub fee: Amount,
    /// What an early redemption gives up.
    pub haircut: Amount,
    /// The day of the request.
    pub requested_day: UtcDay,
    /// From when on it is paid.
    pub matures_day: UtcDay,
    /// The day of the payment, or of the cancellation.
    pub ended_day: Option<UtcDay>,
    /// The journal of the payment, or of the cancellation.
    pub journal_id: Option<JournalId>,
    /// When it was recorded.
    pub requested_at: DateTime<Utc>,
}

/// Which withdrawals to list; the default lists all.
#[derive(Debug, Clone, Copy, Default)]
pub struct WithdrawalFilter {
    /// Those of this account alone.
    pub account: Option<Address>,
    /// Those in this state alone.
    pub state: Option<WithdrawalState>,
}

/// The withdrawal with this id, if there is one.
pub async fn find_withdrawal(
    conn: &mut PgConnection,
    id: WithdrawalId,
) -> Result<Option<Withdrawal>, TreasuryError> {
    sqlx::query_file_as!(WithdrawalRow, "../../sql/treasury/find_withdrawal.sql", id.0)
        .fetch_optional(conn)
        .await?
        .map(Withdrawal::try_from)
        .transpose()
}

/// The withdrawals that the filter lets through, by id.
pub async fn list_withdrawals(
    conn: &mut PgConnection,
    filter: &WithdrawalFilter,
) -> Result<Vec<Withdrawal>, TreasuryError> {
    let account = filter.account.map(|account| account.as_bytes().to_vec());
    let state = filter.state.map(WithdrawalState::as_str);
    sqlx::query_file_as!(WithdrawalRow, "../../sql/treasury/list_withdrawals.sql", account, state)
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(Withdrawal::try_from)
        .collect()
}

/// The withdrawal with this id, which nobody else then moves until the transaction ends.
pub(super) async fn lock_withdrawal(
    conn: &mut PgConnection,
    id: WithdrawalId,
) -> Result<Option<Withdrawal>, TreasuryError> {
    sqlx::query_file_as!(WithdrawalRow, "../../sql/treasury/lock_withdrawal.sql", id.0)
        .fetch_optional(conn)
        .await?
        .map(Withdrawal::try_from)
        .transpose()
}

pub(super) async fn find_by_key(
    conn: &mut PgConnection,
    key: &str,
) -> Result<Option<Withdrawal>, TreasuryError> {
    sqlx::query_file_as!(WithdrawalRow, "../../sql/treasury/find_withdrawal_by_key.sql", key)
        .fetch_optional(conn)
        .await?
        .map(Withdrawal::try_from)
        .transpose()
}

/// Up to so many withdrawals that can be paid, by id, which nobody else then moves.
pub(super) async fn lock_payable(
    conn: &mut PgConnection,
    limit: i64,
) -> Result<Vec<Withdrawal>, TreasuryError> {
    sqlx::query_file_as!(WithdrawalRow, "../../sql/treasury/lock_payable_withdrawals.sql", limit)
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(Withdrawal::try_from)
        .collect()
}

impl WithdrawalId {
    /// The id that a stored value stands for.
    pub const fn from_raw(raw: i64) -> Self {
        Self(raw)
    }

    /// The value to store.
    pub const fn raw(self) -> i64 {
        self.0
    }
}

impl fmt::Display for WithdrawalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for WithdrawalId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl WithdrawalState {
    /// The state as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Matured => "matured",
            Self::Paid => "paid",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state that a stored text stands for.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Requested, Self::Matured, Self::Paid, Self::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

impl fmt::Display for WithdrawalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Destination {
    /// The destination as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Chain => "chain",
        }
    }

    /// The destination that a stored text stands for.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Account, Self::Chain].into_iter().find(|destination| destination.as_str() == text)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

struct WithdrawalRow {
    id: i64,
    key: String,
    account: Vec<u8>,
    asset: String,
    destination: String,
    country: String,
    state: String,
    ruleset: i32,
    gross: String,
    net: String,
    fee: String,
    haircut: String,
    requested_day: NaiveDate,
    matures_day: NaiveDate,
    ended_day: Option<NaiveDate>,
    journal_id: Option<i64>,
    requested_at: DateTime<Utc>,
}

impl TryFrom<WithdrawalRow> for Withdrawal {
    type Error = TreasuryError;

    fn try_from(row: WithdrawalRow) -> Result<Self, TreasuryError> {
        let corrupt = || TreasuryError::CorruptRow { table: "withdrawal", row: row.id.to_string() };
        let amount = |text: &str| text.parse::<Amount>().map_err(|_| corrupt());
        Ok(Self {
            id: WithdrawalId(row.id),
            account: row.account.as_slice().try_into().map(Address::from_bytes).map_err(|_| corrupt())?,
            asset: row.asset.parse()?,
            destination: Destination::parse(&row.destination).ok_or_else(corrupt)?,
            country: row.country.parse().map_err(|_| corrupt())?,
            state: WithdrawalState::parse(&row.state).ok_or_else(corrupt)?,
            ruleset: row.ruleset.try_into().map_err(|_| corrupt())?,
            gross: amount(&row.gross)?,
            net: amount(&row.net)?,
            fee: amount(&row.fee)?,
            haircut: amount(&row.haircut)?,
            requested_day: UtcDay::from_date(row.requested_day),
            matures_day: UtcDay::from_date(row.matures_day),
            ended_day: row.ended_day.map(UtcDay::from_date),
            journal_id: row.journal_id.map(JournalId::from_raw),
            requested_at: row.requested_at,
            key: row.key,
        })
    }
}
